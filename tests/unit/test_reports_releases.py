import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from harness import reports
from harness.gate import GateResult
from harness.reports import markdown, releases_data, terminal
from harness.reports.html import MAX_BYTES, render
from harness.reports.releases import PairView, view
from harness.verdict import Outcome
from tests.unit.gate_results import (
    HOSTILE,
    cell,
    ended,
    gate,
    hostile,
    many,
    many_releases,
    mixed,
    moved_losses,
    on_release,
    regression,
)
from tests.unit.test_reports_html import Page

NATIVE = {"name": "cpu", "kind": "native", "device": "Example CPU"}


def pair(old: dict[str, object] | None = None, new: dict[str, object] | None = None) -> PairView:
    """Return the one pair of a step between two native cells with some hardware changes."""
    cells = [
        on_release(release, hardware={**NATIVE, **(changes or {})})
        for release, changes in (("2025.6.8", old), ("2026.10.9", new))
    ]
    ((one,),) = [step.pairs for step in view(gate(*cells)).steps]
    return one


ROSE = "the last eval_loss rose from 4.9196 to 5.3631 (+9.0 %, more than 1 %)"
SHIFTED = (
    "eval_loss before any training moved from 7.1158 to 7.0960 (-0.28 %, more than 0.1 %): the "
    "evaluation itself changed"
)
FELL = "the last eval_loss fell from 5.3631 to 4.9196 (-8.3 %, more than 1 %)"


def section(text: str) -> str:
    start = text.index('<section id="releases"')
    return text[start : text.index("</section>", start) + len("</section>")]


def shown(result: GateResult) -> str:
    file = io.StringIO()
    Console(file=file, width=2_000).print(terminal.summary(result))
    return file.getvalue()


def test_figures_stand_side_by_side_with_their_ratio() -> None:
    one = pair()

    assert (one.eval_loss.old, one.eval_loss.new) == ("4.2700", "4.2700")
    assert (one.speed.old, one.speed.new) == ("1,760", "1,760")
    assert one.speed.remark == "1.00 of the old"
    assert one.memory.remark == "1.00 of the old"


def test_a_slower_release_shows_by_how_much() -> None:
    cells = [on_release("2025.6.8", hardware=NATIVE)]
    slow = [step.model_copy(update={"wall_s": step.wall_s * 2}) for step in cells[0].record.steps]
    cells.append(on_release("2026.10.9", hardware=NATIVE, steps=slow))

    (step,) = view(gate(*cells)).steps
    assert step.pairs[0].speed.remark == "0.50 of the old"


@pytest.mark.parametrize(
    ("change", "remark"),
    [
        ({"device": "Another CPU"}, "not compared: device Example CPU and Another CPU"),
        ({"threads": 8}, "not compared: threads 1 and 8"),
        ({"parallel_cells": 4}, "not compared: parallel cells 1 and 4"),
    ],
)
def test_speed_on_another_machine_is_not_compared(change: dict[str, object], remark: str) -> None:
    one = pair(new=change)

    assert one.speed.remark == remark
    assert one.memory.remark == remark


def test_emulated_figures_are_labelled_and_not_compared() -> None:
    for step in view(regression()).steps:
        for one in step.pairs:
            assert one.speed.remark == one.memory.remark == "emulated, not compared"


def test_a_figure_of_one_side_is_labelled_too() -> None:
    cells = [on_release(r) for r in ("2025.6.8", "2026.10.9")]
    (step,) = view(gate(*cells, on_release("2025.6.8", recipe="gone"))).steps

    assert [one.speed.remark for one in step.pairs if not one.pair.new] == ["emulated"]


def test_a_regression_is_explained_by_its_diagnosis_and_by_what_moved() -> None:
    fixed, broken = view(regression()).steps

    assert fixed.reasons == ()
    (reason,) = broken.reasons
    assert reason.diagnosis == ("the scaler skipped all 30 steps",)
    assert reason.candidates[0] == "weights: float32 × 80 → float16 × 80"  # noqa: RUF001
    assert reason.candidates[-1] == "fp16: False → True"


def test_red_cells_that_were_red_before_are_no_reason() -> None:
    still = gate(*(on_release(r, Outcome.FAIL) for r in ("2025.6.8", "2026.10.9")))

    assert view(still).steps[0].reasons == ()


@pytest.mark.parametrize("result", [mixed(), gate(), gate(cell()), many(40)])
def test_without_two_releases_of_one_family_there_is_no_section(result: GateResult) -> None:
    assert view(result).steps == ()
    assert 'id="releases"' not in render(result)
    assert "From release to release" not in markdown.render(result)
    assert "Releases:" not in shown(result)


def test_the_page_has_the_section_right_after_the_answer() -> None:
    text = render(regression())
    page = Page(text)

    assert page.stack == []
    assert len(page.values("id")) == len(set(page.values("id")))
    assert text.index('id="releases"') < text.index('id="findings"')
    assert "#releases" in page.values("href")


def test_the_page_says_verdict_since_when_reason_facts_and_figures() -> None:
    text = Page(section(render(regression()))).text

    for words in (
        "t4/auto/hot (emulated): red in 2025.3.14, passes in 2025.6.8, red since 2026.10.9",
        "1 cell passes on every release that has it",
        "↑ FIXED 2025.3.14 → 2025.6.8",
        "✗ NOT SAFE 2025.6.8 → 2026.10.9",
        "Why the scaler skipped all 30 steps",
        "Moved weights: float32 × 80 → float16 × 80",  # noqa: RUF001
        "FORCE_FLOAT32 1 0",
        "unsloth 2025.6.8 2026.10.9",
        "resolved for 2025.6.8 yes no",
        "torch.cuda probes yes yes",
        "4.2700 → 6.9392",
        "6.7400 4.7300 4.3800 4.2700",
        "6.9392 6.9392 6.9392 6.9392",
        "emulated, not compared",
    ):
        assert words in text


def test_facts_are_read_before_numbers() -> None:
    text = section(render(regression()))

    assert text.index(">Precision ") < text.index(">Packages ") < text.index("Side by side")


def test_every_outcome_of_a_step_leads_to_its_cell() -> None:
    links = [str(a["href"]) for a in Page(section(render(regression()))).named("a")]

    assert "#cell-unsloth-2025.6.8-t4-auto-hot" in links
    assert {f"#{anchor}" for anchor in Page(render(regression())).values("id")} >= set(links)


def test_a_run_that_ended_early_says_that_nothing_is_known_of_it() -> None:
    crashed = ended("CRASHED", "ImportError", cell_id="unsloth-2025.3.14/cpu/float32/mild")
    crashed.record.stack.name, crashed.record.stack.release = "unsloth-2025.3.14", "2025.3.14"
    text = Page(section(render(gate(crashed, cell())))).text

    assert "↑ FIXED 2025.3.14 → 2026.10.9" in text
    assert (
        "unsloth-2025.3.14/cpu/float32/mild ended (CRASHED) before its precision, defaults and "
        "packages were recorded." in text
    )


def test_an_attack_stays_text_in_the_section() -> None:
    text = section(render(hostile()))
    page = Page(text)

    assert not list(page.named("script"))
    assert not list(page.named("img"))
    assert "onerror" not in {name for _, a in page.elements for name in a}
    assert page.stack == []
    for attack in (HOSTILE, HOSTILE + "2"):
        assert page.text.count(" ".join(attack.split())) >= 6
    assert "NOT SAFE" in page.text
    assert "is left out: its Unsloth version has no place in the order" in page.text


@pytest.mark.parametrize(("families", "releases"), [(250, 2), (25, 20)])
def test_five_hundred_cells_over_releases_fit(families: int, releases: int) -> None:
    result = many_releases(families, releases)
    text = render(result)

    assert len(text.encode()) <= MAX_BYTES
    assert Page(text).stack == []
    assert text.count('<article class="cell') == families * releases
    assert text.count('<article class="step') == min(releases - 1, 24)
    assert "further cells of this step, none of them worse" in text


def test_the_worst_cells_of_a_step_are_shown_first() -> None:
    text = section(render(many_releases(80, 2)))
    rows = re.findall(r"<tr><td><b class=\"o .\">.*?</i> ([A-Z ]+)</b>", text)

    assert rows == sorted(rows, key=["NOT SAFE", "FIXED", "SAFE"].index)
    assert rows[0] == "NOT SAFE"


def test_a_page_with_hardly_any_room_keeps_every_step() -> None:
    text = render(many_releases(20, 5), limit=100_000)

    assert len(text.encode()) <= 100_000
    assert text.count('<article class="step') == 4


@pytest.mark.parametrize("limit", [0, 400, 1_000, 2_500, 9_000, 64_000])
def test_a_summary_never_passes_its_limit(limit: int) -> None:
    assert len(markdown.render(many_releases(30, 8), limit).encode()) <= limit


def test_a_short_summary_keeps_the_verdict_of_each_step() -> None:
    text = markdown.render(many_releases(30, 8), 12_000)

    assert len(re.findall(r"^- \*\*. [A-Z ]+\*\* 2026", text, re.MULTILINE)) == 7
    assert re.search(r"Left out to keep this short: the details of \d steps?\.", text)


def test_a_summary_without_room_for_every_step_keeps_the_worst() -> None:
    calm = [on_release(f"2026.{n}.1", recipe=r) for n in range(30) for r in ("hot", "mild")]
    broken = [on_release(f"2027.{n}.1", o) for n, o in ((1, Outcome.PASS), (2, Outcome.FAIL))]

    text = markdown.render(gate(*calm, *broken), 5_000)

    assert "**✗ NOT SAFE** 2027.1.1 → 2027.2.1" in text
    assert re.search(r"Left out to keep this short: \d+ further steps", text)


def test_the_summary_has_verdict_facts_and_figures() -> None:
    text = markdown.render(regression())

    for words in (
        "- **✗ NOT SAFE** 2025.6.8 → 2026.10.9: 1 cell regresses (t4/auto/hot (emulated)); 1 cell",
        "- `t4/auto/hot (emulated)`: red in 2025.3.14, passes in 2025.6.8, red since 2026.10.9",
        "  - Why: the scaler skipped all 30 steps",
        "  - Moved in it: weights: float32 × 80 → float16 × 80; autocast: off → float16;",  # noqa: RUF001
        "- Packages moved: unsloth: 2025.6.8 → 2026.10.9",
        "| ✗ NOT SAFE | `t4/auto/hot (emulated)` | ✓ PASS → ✗ FAIL | 4.2700 → 6.9392 |",
    ):
        assert words in text
    assert "left out" not in text.lower()


def test_the_terminal_has_the_steps_and_since_when_in_two_lines() -> None:
    lines = shown(regression()).splitlines()

    assert [line.strip() for line in lines[1:3]] == [
        "Releases: ↑ FIXED 2025.3.14 → 2025.6.8 · ✗ NOT SAFE 2025.6.8 → 2026.10.9",
        (
            "Since when: t4/auto/hot (emulated): red in 2025.3.14, passes in 2025.6.8, red since "
            "2026.10.9"
        ),
    ]


def test_the_result_has_the_comparison_for_machines_and_is_read_back(tmp_path: Path) -> None:
    reports.write(regression(), tmp_path)
    data = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["releases"]

    assert [(s["old"], s["new"], s["verdict"]) for s in data["steps"]] == [
        ("2025.3.14", "2025.6.8", "FIXED"),
        ("2025.6.8", "2026.10.9", "NOT SAFE"),
    ]
    broken = data["steps"][1]
    assert broken["cells"][0] == {
        "cell": "t4/auto/hot (emulated)",
        "verdict": "NOT SAFE",
        "old": "unsloth-2025.6.8/t4/auto/hot",
        "new": "unsloth-2026.10.9/t4/auto/hot",
        "regressed": ["eval_loss_moves"],
        "eval_loss_moved": [],
        "without_an_answer_now": [],
    }
    assert broken["moved"]["Packages"] == [
        {
            "name": "unsloth",
            "old": "2025.6.8",
            "new": "2026.10.9",
            "cells": ["t4/auto/hot (emulated)", "t4/auto/mild (emulated)"],
        }
    ]
    assert data["since"][0]["first_red"] == "2025.3.14"
    assert data["since"][0]["first_fixed"] == "2025.6.8"
    assert reports.load(tmp_path).model_dump_json() == regression().model_dump_json()


def test_a_moved_loss_is_a_reason_with_what_moved_beside_it() -> None:
    (step,) = view(moved_losses()).steps

    (reason,) = step.reasons
    assert [verdict.message for verdict in reason.verdicts] == [ROSE, SHIFTED]
    assert [pair.family.recipe for pair in reason.pairs] == ["hot"]
    assert reason.candidates == ("UNSLOTH_RETURN_LOGITS: absent → 1",)


def test_losses_that_moved_alike_are_one_reason() -> None:
    curves = {"2025.8.6": (7.0, 4.0), "2026.1.4": (7.0, 4.5)}
    cells = [on_release(r, recipe=n, evaluations=curves[r]) for r in curves for n in "abc"]
    cells.append(on_release("2025.8.6", recipe="other", evaluations=(7.0, 4.0)))
    cells.append(on_release("2026.1.4", recipe="other", evaluations=(7.1, 4.0)))

    (step,) = view(gate(*cells)).steps

    assert [len(reason.pairs) for reason in step.reasons] == [3, 1]


def test_every_report_says_that_a_loss_moved() -> None:
    result = moved_losses()
    page = Page(section(render(result))).text
    summary = markdown.render(result).replace("\\", "")

    for text in (page, summary, shown(result), json.dumps(releases_data.as_data(result))):
        for words in (ROSE, SHIFTED, FELL):
            assert words in text
    assert "✗ NOT SAFE 2025.8.6 → 2026.1.4" in page
    assert "Moved UNSLOTH_RETURN_LOGITS: absent → 1" in page
    assert "**✗ NOT SAFE** 2025.8.6 → 2026.1.4" in summary
    assert "## ✗ Not sound" in summary
    assert "Moved in it: UNSLOTH_RETURN_LOGITS: absent → 1" in markdown.render(result).replace(
        "\\", ""
    )


def test_a_cell_of_the_new_release_only_is_counted_and_listed() -> None:
    page = Page(section(render(moved_losses()))).text

    assert "; 1 cell only on 2026.1.4, not compared." in page
    assert "+ NOT COMPARED t4/auto/new (emulated) not run → ✓ PASS" in page


def test_many_moved_losses_leave_the_terminal_short() -> None:
    curves = {"2025.8.6": (7.0, 4.0), "2026.1.4": (7.0, 4.5)}
    cells = [on_release(r, recipe=f"r{n}", evaluations=curves[r]) for r in curves for n in range(9)]

    lines = [line for line in shown(gate(*cells)).splitlines() if "Losses:" in line]

    assert len(lines) == 5
    assert lines[-1].strip() == "Losses: 5 more in the report"


def test_a_cell_that_is_new_and_passes_is_steady() -> None:
    old, new = (on_release(release) for release in ("2025.6.8", "2026.10.9"))
    shown = view(gate(old, new, on_release("2026.10.9", recipe="mild")))
    assert (shown.told, shown.steady) == ((), 2)


def test_a_cell_that_got_lost_is_not_steady() -> None:
    old, new = (on_release(release) for release in ("2025.6.8", "2026.10.9"))
    shown = view(gate(old, new, on_release("2025.6.8", recipe="mild")))
    ((history, words),) = shown.told
    assert history.family.recipe == "mild"
    assert words == "passes in 2025.6.8, not run in 2026.10.9"
