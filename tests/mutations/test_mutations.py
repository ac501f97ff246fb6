"""Whatever happens to a valid delivery: exact accounts or a clean refusal, never anything else."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.mutations.drive import drive
from tests.mutations.mutate import damaged
from tests.mutations.seeds import seeds

CASES = int(os.environ.get("NQ42_MUTATION_CASES", "300"))
#: The long run takes other cases each time.
IS_LONG = "NQ42_MUTATION_CASES" in os.environ
#: Agencies send delimited text more than all else.
SHARES = {kind: 8 if kind == "csv" else 1 for kind in seeds()}
OUTCOMES: dict[str, Counter[str]] = defaultdict(Counter)


@pytest.mark.parametrize("kind", SHARES)
def test_a_damaged_delivery_ends_in_exact_accounts_or_a_refusal(kind: str, tmp_path: Path) -> None:
    cases = -(-CASES * SHARES[kind] // sum(SHARES.values()))

    @settings(
        max_examples=cases,
        deadline=None,
        derandomize=not IS_LONG,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(number=st.integers(0, len(seeds()[kind]) - 1), random=st.randoms(use_true_random=False))
    def check(number: int, random: Random) -> None:
        seed = seeds()[kind][number]
        content = damaged(seed.content, random)
        note(f"{seed.name}: {content[:2000]!r}")
        OUTCOMES[kind][drive(seed, content, tmp_path)] += 1

    check()


def test_the_cases_ran_and_ended_in_every_way() -> None:
    for kind, outcomes in OUTCOMES.items():
        print(f"\n{kind}: {outcomes.total()} cases")
        for outcome, count in outcomes.most_common():
            print(f"  {count:6} {outcome}")
    ran = sum(outcomes.total() for outcomes in OUTCOMES.values())
    print(f"cases in all: {ran}")
    assert ran >= CASES
    for outcomes in OUTCOMES.values() if IS_LONG else ():
        assert {outcome.partition(" ")[0] for outcome in outcomes} >= {"loaded", "refused:"}
