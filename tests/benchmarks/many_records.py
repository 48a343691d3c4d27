"""Records of a large matrix: families of cells over releases, with as many arguments and packages as real ones.

The figures are made up in the shape of real ones; no benchmark may read them as a result.
"""

from collections.abc import Iterator

from harness.gate import GateResult, judge_cells
from harness.recipe import digest
from harness.record import Record
from tests.unit.records import make_record

RELEASES = 10


def many_records(amount: int, releases: int = RELEASES) -> Iterator[Record]:
    """Yield `amount` records of `amount / releases` families, each on every release.

    A record has 133 training arguments and 83 packages, as those of Unsloth 2026.10.9 do. On every other
    release one argument is another one, and every seventh cell is red: its eval_loss is frozen.
    """
    healthy = make_record().executed
    assert healthy is not None
    frozen = make_record(evaluations=[6.74] * 4).evaluations
    arguments = {f"argument_{place}": f"value {place}" for place in range(128)}
    for number in range(releases):
        version = f"2026.{number}.1"
        record = make_record(
            stack={"name": f"unsloth-{version}", "release": version},
            executed={
                "arguments": {**healthy.arguments, **arguments, "padding_free": number % 2 == 0},
                "packages": {"unsloth": version, **{f"package-{n}": f"1.{n}" for n in range(82)}},
            },
        )
        for family in range(amount // releases):
            recipe = {**record.recipe, "name": f"recipe-{family}", "seed": family}
            yield record.model_copy(
                update={
                    "cell_id": f"unsloth-{version}/cpu/float32/recipe-{family}",
                    "recipe": recipe,
                    "recipe_digest": digest(recipe),
                    "evaluations": frozen if (family + number) % 7 == 0 else record.evaluations,
                }
            )


def many_cells(amount: int, releases: int = RELEASES) -> GateResult:
    """Return a judged run over these records."""
    return GateResult(
        command="nox -s gpu_matrix",
        started_at="2026-11-26T08:10:00+00:00",
        duration_s=287.4,
        harness_version="0.1.0",
        cells=judge_cells((record, False) for record in many_records(amount, releases)),
    )
