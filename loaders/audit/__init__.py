"""The audit trail: a hash chain of events, and the rows that each event vouches for."""

from loaders.audit.chain import (
    PUBLISH_LOCK_KEY,
    append,
    event_hash,
    head,
    lock,
)
from loaders.audit.chain_walk import Finding
from loaders.audit.digest import Digest, rows_digest
from loaders.audit.records import (
    APPROVAL_EVENT,
    BATCH_EVENT,
    BUILD_EVENT,
    GATE_HELD,
    GATE_PASSED,
    GATE_WAITING,
    PURGE_EVENT,
    READMISSION_EVENT,
    RECEIPT_EVENT,
    RELEASE_EVENT,
    RESTORE_EVENT,
    SCHEDULE_EVENT,
    VOUCHED_ROWS,
    insert_receipt,
    insert_vouched,
    record_batch_result,
)
from loaders.audit.verify import Verification, verify

__all__ = [
    "APPROVAL_EVENT",
    "BATCH_EVENT",
    "BUILD_EVENT",
    "GATE_HELD",
    "GATE_PASSED",
    "GATE_WAITING",
    "PUBLISH_LOCK_KEY",
    "PURGE_EVENT",
    "READMISSION_EVENT",
    "RECEIPT_EVENT",
    "RELEASE_EVENT",
    "RESTORE_EVENT",
    "SCHEDULE_EVENT",
    "VOUCHED_ROWS",
    "Digest",
    "Finding",
    "Verification",
    "append",
    "event_hash",
    "head",
    "insert_receipt",
    "insert_vouched",
    "lock",
    "record_batch_result",
    "rows_digest",
    "verify",
]
