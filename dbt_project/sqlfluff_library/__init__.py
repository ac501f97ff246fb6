"""What dbt puts into Jinja and sqlfluff does not know; only for linting."""
