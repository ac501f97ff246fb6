"""Damaged deliveries through the real `load`: what the database holds are the same accounts."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from psycopg import sql

from loaders.contracts import model
from loaders.contracts.model import get_contract
from loaders.postgres.database import Role, connect
from loaders.stages.land import land
from loaders.stages.load import load, stage_table_name
from loaders.stages.records import LoadResult
from tests.conftest import Warehouse
from tests.mutations.mutate import damaged
from tests.mutations.seeds import Seed, seeds

ANY_CONTRACT = get_contract("social_insurance")
CASES = int(os.environ.get("NQ42_MUTATION_LOADS", "60"))


def loaded(seed: Seed, content: bytes, warehouse: Warehouse) -> LoadResult | None:
    """The result of `load`; None where the bytes did not even land."""
    dataset = seed.dataset
    name = dataset.extension.connector.options["pattern"]
    name = name.format(yyyymm=seed.period.replace("-", ""), period=seed.period)
    folder = warehouse.inbox / dataset.source / seed.period
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    note = folder / f"{name}.delivery.json"
    note.write_text('{"data_label": "sample"}', "utf-8")
    landed = land(dataset.source, dataset.name, seed.period)
    return load(landed.batch_id) if landed.batch_id else None


def stored(seed: Seed, batch_id: str) -> tuple[int | None, int, int]:
    """Rows in the stage table (None: there is none), and distinct rows and findings set apart."""
    with connect(Role.ADMIN) as connection:
        stage = stage_table_name(seed.dataset, batch_id)
        name = sql.Identifier("stage", stage)
        rows = None
        if connection.execute("select to_regclass(%s)", (f'stage."{stage}"',)).fetchone() != (
            None,
        ):
            counted = sql.SQL("select count(*), count(distinct (_sheet, _row_number)) from {}")
            found = connection.execute(counted.format(name)).fetchone()
            assert found is not None and found[0] == found[1]
            rows = found[0]
            connection.execute(sql.SQL("drop table {}").format(name))
        apart = connection.execute(
            'select count(distinct row_number), count(*) from quarantine."row" where batch_id = %s',
            (batch_id,),
        ).fetchone()
        assert apart is not None
        return rows, *apart


@pytest.mark.parametrize("kind", seeds())
def test_the_database_holds_what_the_result_says(
    kind: str, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: Counter[str] = Counter()
    random = Random(f"{kind} 42")
    for _ in range(-(-CASES // len(seeds()))):
        seed = random.choice(seeds()[kind])
        alone = replace(ANY_CONTRACT, source=seed.dataset.source, datasets=(seed.dataset,))
        monkeypatch.setattr(model, "load_contracts", lambda alone=alone: (alone,))
        result = loaded(seed, damaged(seed.content, random), warehouse)
        if result is None:
            ends["not landed"] += 1
            continue
        ends[result.status] += 1
        rows, bad_rows, findings = stored(seed, result.batch_id)
        if result.status == "refused":
            assert (rows, bad_rows) == (None, 0), result.reason
        elif result.status == "loaded":
            assert (rows, bad_rows) == (result.rows_staged, result.rows_quarantined)
            assert result.rows_read == result.rows_staged + bad_rows
            assert findings >= bad_rows
    print(f"\n{kind}: {dict(ends)}")
