"""A folder of as many records as many runs leave behind, of the size of real ones."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness.record import Record
from tests.unit.records import make_record, steps

RELEASES = [f"2026.{month}.{patch}" for month in range(1, 11) for patch in (1, 5)]
CELLS = 14
_PER_DAY = 30
_SIZE = 25_000
"""Bytes of a real record of the tiny model, which has all of the trainer's arguments."""


def write_records(reports: Path, amount: int, *, slower_from: int = 13) -> None:
    """Write records of some cells over releases and days, as a store keeps them.

    Args:
        reports: The folder that gets `records/`.
        amount: How many.
        slower_from: Index of the release from which on a step takes 8 % longer.
    """
    rng = random.Random(7)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    texts: dict[tuple[int, int, int], str] = {}
    for number in range(amount):
        cell, release = number % CELLS, number * len(RELEASES) // amount
        variant = rng.randrange(4)
        key = cell, release, variant
        if key not in texts:
            texts[key] = _record(cell, release, rng, slower_from).model_dump_json(indent=1)
        when = start + timedelta(days=number // _PER_DAY, minutes=number % _PER_DAY)
        text = texts[key].replace("@key", f"{number:012x}").replace("@when", when.isoformat())
        path = reports / "records" / f"cell-{cell}-{release}" / f"{number:012x}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _record(cell: int, release: int, rng: random.Random, slower_from: int) -> Record:
    version = RELEASES[release]
    pace = rng.gauss(1, 0.015) * (1.08 if release >= slower_from else 1.0)
    record = make_record(
        cell_id=f"unsloth-{version}/cpu/float32/recipe-{cell}",
        key="@key",
        started_at="@when",
        recipe={"name": f"recipe-{cell}"},
        recipe_digest=f"{cell:012x}",
        stack={"name": f"unsloth-{version}", "release": version},
        steps=steps(wall_s=[0.075 * pace * rng.gauss(1, 0.04) for _ in range(30)]),
    )
    missing = _SIZE - len(record.model_dump_json(indent=1))
    executed = record.executed
    assert executed is not None
    arguments = {f"argument_{n}": "x" * 20 for n in range(missing // 44)}
    return record.model_copy(
        update={"executed": executed.model_copy(update={"arguments": arguments})}
    )
