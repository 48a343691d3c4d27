import pytest

from harness.abandoned import work_folder
from harness.reports.moved import aspects, candidates, presence
from harness.upgrades import Pair, steps
from harness.verdict import Outcome
from tests.unit.gate_results import on_release


def pairs(old: dict[str, object], new: dict[str, object]) -> tuple[Pair, ...]:
    """Return the one step's pairs of a cell with some arguments before and after."""
    cells = [
        on_release(release, executed={"arguments": arguments})
        for release, arguments in (("2025.6.8", old), ("2026.10.9", new))
    ]
    return steps(cells)[0].pairs


def moved(title: str, of: tuple[Pair, ...]) -> list[str]:
    (aspect,) = [aspect for aspect in aspects(of) if aspect.title == title]
    return [fact.words for fact in aspect.facts]


def test_a_moved_argument_has_its_value_on_each_side() -> None:
    found = pairs({"optim": "adamw_torch", "seed": 1}, {"optim": "adamw_8bit", "seed": 1})

    assert moved("Training arguments", found) == ["optim: adamw_torch → adamw_8bit"]


def test_names_of_one_side_only_come_last() -> None:
    found = pairs({"a_removed": 1, "seed": 1}, {"seed": 2, "an_added": 3})

    assert moved("Training arguments", found) == [
        "seed: 1 → 2",
        "a_removed: 1 → absent",
        "an_added: absent → 3",
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/tmp/cell-{}/outputs",
        "/tmp/lora-gate-cell-{}/outputs",
        "/var/folders/x/cell-{}",
        "/tmp/cell-{}/outputs/runs/Nov24_11-57-5{}_host",
        "[/tmp/cell-{}/cache/triton]",
    ],
)
def test_a_path_of_the_run_itself_is_not_a_moved_default(path: str) -> None:
    found = pairs(
        {"output_dir": path.format("l6jyv_bi", 1)}, {"output_dir": path.format("qce32mq7", 2)}
    )

    assert moved("Training arguments", found) == []


def test_another_folder_is_a_moved_default() -> None:
    found = pairs({"output_dir": "/tmp/cell-l6jyv_bi/a"}, {"output_dir": "/tmp/cell-l6jyv_bi/b"})

    assert moved("Training arguments", found) == ["output_dir: …/a → …/b"]


def test_precision_is_read_in_the_order_of_the_model() -> None:
    old = on_release("2025.6.8")
    new = on_release(
        "2026.10.9",
        precision={
            "weights": {"bfloat16": 80},
            "lora": {"bfloat16": 84},
            "activations": {"bfloat16": 6},
            "logits": "bfloat16",
            "autocast": "bfloat16",
            "args_bf16": True,
            "args_fp16": False,
            "force_float32": None,
            "max_abs_activation": {"layers.0": 9.0},
        },
    )

    assert [words.split(":")[0] for words in moved("Precision", steps([old, new])[0].pairs)] == [
        "weights",
        "LoRA",
        "activations",
        "logits",
        "autocast",
        "args.bf16",
        "FORCE_FLOAT32",
    ]


def test_values_of_one_name_stand_together() -> None:
    said = {"worse": (Outcome.PASS, Outcome.FAIL), "better": (Outcome.FAIL, Outcome.PASS)}
    cells = [
        on_release(release, outcome, recipe)
        for recipe, outcomes in said.items()
        for release, outcome in zip(("2025.6.8", "2026.10.9"), outcomes, strict=True)
    ]

    names = [words.split(":")[0] for words in moved("Precision", steps(cells)[0].pairs)]
    assert names == sorted(names, key=names.index)


def test_the_packages_under_test_come_first() -> None:
    old, new = (
        on_release(
            release,
            executed={
                "packages": dict.fromkeys(
                    ("aiohttp", "torch", "peft", "unsloth-zoo", "trl", "unsloth"), release
                )
            },
        )
        for release in ("2025.6.8", "2026.10.9")
    )

    names = [words.split(":")[0] for words in moved("Packages", steps([old, new])[0].pairs)]
    assert names == ["unsloth", "unsloth-zoo", "trl", "peft", "torch", "aiohttp"]


def test_a_fact_that_moved_alike_in_several_cells_is_one_entry() -> None:
    cells = [
        on_release(release, recipe=recipe, executed={"arguments": {"optim": release}})
        for release in ("2025.6.8", "2026.10.9")
        for recipe in ("hot", "mild")
    ]

    (aspect,) = [a for a in aspects(steps(cells)[0].pairs) if a.title == "Training arguments"]
    assert [(fact.name, len(fact.pairs)) for fact in aspect.facts] == [("optim", 2)]


def test_a_side_that_was_not_recorded_moves_nothing() -> None:
    old, new = on_release("2025.6.8"), on_release("2026.10.9", Outcome.CRASHED)
    new.record.executed = None
    new.record.precision = new.record.precision.model_copy(update={"weights": {}})

    assert [aspect.facts for aspect in aspects(steps([old, new])[0].pairs)] == [()] * 5


def test_candidates_for_a_cause_are_facts_then_defaults_without_packages() -> None:
    (pair,) = steps([on_release("2025.6.8"), on_release("2026.10.9", Outcome.FAIL)])[0].pairs

    assert candidates(pair) == [
        "weights: float32 × 80 → float16 × 80",  # noqa: RUF001
        "autocast: off → float16",
        "args.fp16: no → yes",
        "FORCE_FLOAT32: 1 → 0",
        "fp16: False → True",
    ]


def test_a_new_variable_of_the_environment_is_a_candidate_and_a_new_argument_is_not() -> None:
    cells = [
        on_release("2025.6.8", executed={"arguments": {}, "environment": {}}),
        on_release("2026.10.9", executed={"arguments": {"a": 1}, "environment": {"B": "1"}}),
    ]

    assert candidates(steps(cells)[0].pairs[0]) == ["B: absent → 1"]


def test_departures_of_each_side_are_listed_and_those_of_one_side_come_first() -> None:
    found = presence(
        steps([on_release("2025.6.8"), on_release("2026.10.9")])[0].pairs,
        lambda record: record.stack.overrides,
    )

    assert [(entry.text, entry.old, entry.new) for entry in found] == [
        ("resolved for 2025.6.8", True, False),
        ("resolved for 2026.10.9", False, True),
        ("torch replaced by its CPU build", True, True),
    ]


def test_the_folder_of_a_cell_is_no_default_that_moved() -> None:
    with work_folder("cell") as old, work_folder("cell") as new:
        found = pairs({"output_dir": f"{old}/outputs"}, {"output_dir": f"{new}/outputs"})

    assert not any(aspect.facts for aspect in aspects(found))
