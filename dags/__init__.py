"""Airflow DAGs: wiring only. The work is in `loaders/`, which knows nothing of Airflow."""
