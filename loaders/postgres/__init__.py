"""PostgreSQL: the embedded server, connections by role, migrations."""
