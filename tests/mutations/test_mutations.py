"""Whatever happens to a valid delivery: exact accounts or a clean refusal, never anything else."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from loaders.contracts.model import get_dataset
from tests.mutations.drive import drive
from tests.mutations.mutate import damaged
from tests.mutations.seeds import Seed, members, seeds

CASES = int(os.environ.get("NQ42_MUTATION_CASES", "300"))
#: The long run takes other cases each time.
IS_LONG = "NQ42_MUTATION_CASES" in os.environ
#: Agencies send delimited text more than all else.
SHARES = {reader: 6 if reader == "csv" else 1 for reader in seeds()}
OUTCOMES: dict[str, Counter[str]] = defaultdict(Counter)


def seeds_of(reader: str) -> list[Seed]:
    found = seeds()[reader]
    if reader == "csv":
        content, personal = members(40, Random(42))
        dataset = get_dataset("social_insurance", "health_insurance_members")
        # Half of the cases are of the list that everything hangs on.
        found = found + [Seed("members", dataset, "2025-06", content, None, personal)] * len(found)
    return found


@pytest.mark.parametrize("reader", SHARES)
def test_a_damaged_delivery_ends_in_exact_accounts_or_a_refusal(
    reader: str, tmp_path: Path
) -> None:
    cases = -(-CASES * SHARES[reader] // sum(SHARES.values()))

    @settings(
        max_examples=cases,
        deadline=None,
        derandomize=not IS_LONG,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(seed=st.sampled_from(seeds_of(reader)), random=st.randoms(use_true_random=False))
    def check(seed: Seed, random: Random) -> None:
        OUTCOMES[reader][drive(seed, damaged(seed.content, random), tmp_path)] += 1

    check()


def test_the_cases_ran_and_ended_in_every_way() -> None:
    for reader, outcomes in OUTCOMES.items():
        print(f"\n{reader}: {outcomes.total()} cases")
        for outcome, count in outcomes.most_common():
            print(f"  {count:6} {outcome}")
    ran = sum(outcomes.total() for outcomes in OUTCOMES.values())
    print(f"cases in all: {ran}")
    assert ran >= CASES
    assert all(outcomes["loaded whole"] for outcomes in OUTCOMES.values())
    assert all(any(end.startswith("refused") for end in ends) for ends in OUTCOMES.values())
