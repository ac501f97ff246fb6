"""What keeps an installation going: doctor, status, backup and restore, what alerts say."""
