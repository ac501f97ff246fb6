"""Valid deliveries, damaged at random: each ends in exact accounts or in a clean refusal."""
