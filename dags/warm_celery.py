"""Celery's settings for workers that fork with the slow imports done."""

from __future__ import annotations

from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG

from dags.warm_executor import SLOW_IMPORTS

#: Celery imports these once in each worker, before it forks the processes that run tasks.
WARM_CELERY_CONFIG = {**DEFAULT_CELERY_CONFIG, "imports": SLOW_IMPORTS}
