"""`maintain_retention`: written by hand, because it belongs to no source."""

from __future__ import annotations

from airflow.sdk import DAG, CronTriggerTimetable, task

from dags.wiring import MONTHLY_HOUSEKEEPING, dag_arguments

DOCUMENTATION = """\
### Purpose
Deletes landing files, the only place with identities, once they are older than
`NQ42_LANDING_RETENTION_DAYS`.

### Output
Fewer files in the landing store. Receipts and hashes stay, and each deletion is an event in the
audit chain.

### Impact of failure
Personal data are kept longer than the rule allows; nothing else depends on it.

### How to rerun
*Clear* the failed task, or trigger the DAG again: what is gone already is passed over.
"""

with DAG(
    **dag_arguments(verb="maintain", subject="retention", owner="nq42", tags=["privacy"]),
    schedule=CronTriggerTimetable(MONTHLY_HOUSEKEEPING, timezone="Asia/Ho_Chi_Minh"),
    dag_display_name="maintain_retention · Xoá tệp gốc hết hạn lưu",
    description="Xoá tệp gốc hết hạn lưu / delete landing files past retention",
    doc_md=DOCUMENTATION,
) as maintain_retention:

    @task
    def purge() -> int:
        from loaders.settings import get_settings
        from loaders.stages.land import purge_expired

        return len(purge_expired(get_settings().landing_retention_days))

    purge()
