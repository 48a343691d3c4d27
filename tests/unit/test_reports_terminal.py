import io

from rich.console import Console, RenderableType

from harness.reports.terminal import summary, table
from tests.unit.gate_results import cell, frozen, gate, hostile, mixed

LONG = "unsloth-2026.10.9/a100-emulated/bfloat16/hot-with-a-long-name"


def shown(renderable: RenderableType, width: int = 100, colour: bool = False) -> str:
    file = io.StringIO()
    Console(
        file=file, width=width, force_terminal=colour, color_system="standard" if colour else None
    ).print(renderable)
    return file.getvalue()


def test_the_table_fits_a_hundred_columns_without_losing_a_figure() -> None:
    text = shown(table(gate(cell(cell_id=LONG), frozen())))

    assert max(map(len, text.splitlines())) <= 100
    for figure in ("6.7400 → 4.2700", "✓ PASS", "✗ FAIL", "1,760", "905 MiB RSS", "autocast off"):
        assert figure in text
    assert "…" not in text


def test_a_long_id_folds_after_a_slash_and_keeps_every_character() -> None:
    lines = [line.split()[0] for line in shown(table(gate(cell(cell_id=LONG)))).splitlines()[1:]]

    assert "".join(lines[: lines.index("hot-with-a-long-name") + 1]) == LONG
    assert all(line.endswith("/") for line in lines[: lines.index("hot-with-a-long-name")])


def test_a_narrow_terminal_still_shows_every_outcome() -> None:
    text = shown(table(mixed()), width=60)

    assert all(word in text for word in ("PASS", "FAIL", "CRASHED", "TIMEOUT"))


def test_the_summary_explains_red_cells() -> None:
    text = shown(summary(mixed()), width=200)

    assert text.startswith("✗ Not sound: ")
    for words in (
        "eval_loss_moves: eval_loss_moves says FAIL with 1.25",
        "the scaler skipped all 30 steps",
        "train in float32",
        "harness run unsloth-2025.3.14/t4/float16/hot",
        "… TIMEOUT reference-2026.10.9/cpu/bfloat16/mild",
    ):
        assert words in text


def test_the_summary_of_a_sound_run_is_the_answer_alone() -> None:
    whole = cell()
    whole.verdicts = whole.verdicts[:3]

    assert shown(summary(gate(whole)), width=200).count("\n") == 1


def test_neither_markup_nor_control_characters_of_a_record_take_effect() -> None:
    one = frozen("[red]s[/red]/\x1b[2J/x")
    one.verdicts[1] = one.verdicts[1].model_copy(update={"message": "[bold]\x1b]0;title\x07"})
    text = shown(summary(gate(one)), width=200) + shown(table(gate(one)), width=200)

    assert "[red]s[/red]" in text
    assert "[bold]" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_an_outcome_is_coloured_and_worded() -> None:
    assert "\x1b[1;31m✗ FAIL" in shown(table(gate(frozen())), colour=True)


def test_a_hostile_record_is_printable() -> None:
    assert "</script>" in shown(summary(hostile()), width=400)
