"""Trouble on the way is tried again with growing waits; what moves on is not given up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import stamina

from loaders.connectors.base import Sink, SourceUnavailable
from loaders.connectors.options import Retry

T = TypeVar("T")


def with_retries(attempt: Callable[[], T], sink: Sink, retry: Retry) -> T:
    """The result of ``attempt``, called again after each `SourceUnavailable`.

    Attempts are counted anew once the transfer came further than before: a line that breaks every
    hundred megabytes still brings the whole file, a dead one is given up soon.

    Raises:
        SourceUnavailable: ``retry.attempts`` attempts came no further, or the time is over.
    """
    if sink.deadline is None:
        sink.deadline = time.monotonic() + retry.max_seconds
    end = sink.deadline
    tries = 0
    while True:
        before = sink.reached

        def patience(error: Exception, before: int = before) -> bool | float:
            moved_on = sink.reached > before
            if not isinstance(error, SourceUnavailable) or moved_on or time.monotonic() >= end:
                return False
            if error.retry_after is None:
                return True
            return error.retry_after if error.retry_after <= retry.retry_after_max else False

        try:
            for context in stamina.retry_context(
                on=patience,
                attempts=retry.attempts,
                timeout=None,
                wait_initial=retry.wait_initial,
                wait_max=retry.wait_max,
                wait_jitter=retry.wait_initial,
            ):
                with context:
                    tries += 1
                    return attempt()
        except SourceUnavailable as error:
            if sink.reached == before or time.monotonic() >= end:
                times = "once" if tries == 1 else f"{tries} times"
                raise SourceUnavailable(
                    f"{error}; tried {times}, the next run of the import asks again"
                ) from error
        time.sleep(min(retry.wait_initial, max(0.0, end - time.monotonic())))
