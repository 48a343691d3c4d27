import math
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest

from harness.gate import CellResult, GateResult
from harness.record import Conditions, Translation
from harness.reports.html import MAX_BYTES, render
from harness.verdict import Outcome
from tests.unit.gate_results import (
    HOSTILE,
    cell,
    emulated,
    ended,
    frozen,
    gate,
    hostile,
    many,
    mixed,
)
from tests.unit.records import make_record

INLINE = {"a", "b", "code", "i", "span", "wbr"}
VOID = {"meta", "link", "input", "br", "wbr", "hr", "img"}


class Page(HTMLParser):
    """The page as a browser sees it: elements, ids, links and text, and whether tags match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append("" if tag in INLINE else " ")
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.stack):
            self.texts.append(data)

    def values(self, attribute: str) -> list[str]:
        return [v for _, a in self.elements if (v := a.get(attribute)) is not None]

    def named(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.elements if name == tag)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render(mixed()))


def section(text: str, anchor: str) -> str:
    start = text.index(f'id="{anchor}"')
    return text[start : text.index("</article>", start)]


def test_every_tag_is_closed_and_every_id_is_unique(page: Page) -> None:
    assert page.stack == []
    assert len(page.values("id")) == len(set(page.values("id")))


def test_every_link_leads_somewhere_on_the_page(page: Page) -> None:
    links = {str(a["href"]) for a in page.named("a")}

    assert links <= {f"#{anchor}" for anchor in page.values("id")}
    assert "#cell-unsloth-2025.3.14-t4-float16-hot" in links


def test_nothing_is_loaded_from_anywhere(page: Page) -> None:
    assert not page.values("src")
    assert [a["href"] for a in page.named("link")] == ["data:,"]
    assert "url(" not in render(mixed())


def test_the_policy_allows_only_the_inline_style_and_script(page: Page) -> None:
    (policy,) = [a["content"] for a in page.named("meta") if a.get("http-equiv")]

    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not page.values("style")


def test_the_answer_comes_first(page: Page) -> None:
    assert "✗ Not sound" in page.text[:120]
    assert page.text.index("to do: train in float32") < page.text.index("Verdicts over the matrix")


def test_landmarks_headings_and_table_headers_are_there(page: Page) -> None:
    tags = [tag for tag, _ in page.elements]

    assert {"header", "nav", "main", "footer"} <= set(tags)
    assert tags.count("h1") == 1
    assert tags.count("caption") == tags.count("table")
    assert all(a.get("scope") for a in page.named("th"))


def test_each_outcome_is_said_by_symbol_and_word(page: Page) -> None:
    for words in ("✓ PASS", "✗ FAIL", "! CRASHED", "… TIMEOUT", "○ UNCALIBRATED", "– SKIPPED"):  # noqa: RUF001
        assert words in page.text


def test_moved_defaults_are_read_before_numbers() -> None:
    changed = make_record(cell_id="a/cpu/float32/mild", executed={"arguments": {"loss_type": "x"}})
    text = render(gate(cell(), cell(changed)))

    assert text.index("loss_type") < text.index('class="chart"')


def test_a_cell_shows_its_precision_and_what_departs_from_the_request() -> None:
    record = make_record(precision={"autocast": "bfloat16"})
    text = Page(render(gate(cell(record)))).text

    assert "Precision: float32 requested → effective" in text
    assert "float32 × 80" in text  # noqa: RUF001
    assert "bfloat16 ≠ float32 was requested" in text


def test_a_cell_as_requested_shows_no_departure() -> None:
    assert "was requested" not in Page(render(gate(cell()))).text


def test_a_frozen_cell_shows_that_nothing_was_trained() -> None:
    text = Page(render(gate(frozen()))).text

    for words in (
        "bbbbbbbbbbbb (unchanged)",
        "0 of 42 tensors",
        "0 applied, 30 skipped",
        "eval_loss is the same in all 4 evaluations.",
        "train loss is exactly 0 in 30 of 30 steps",
        "grad_norm not finite in 30 of 30 steps",
        "inf in layers.1, beyond float16’s 65504",  # noqa: RUF001
        "the scaler skipped all 30 steps",
        "train in float32",
    ):
        assert words in text


def test_a_healthy_cell_has_no_remark_on_its_curves() -> None:
    assert "remarks" not in render(gate(cell())).split("<body>")[1]


def test_a_missing_figure_is_a_dash_not_a_zero() -> None:
    record = make_record(evaluations=[6.7, None, 4.0], steps=[], phases=[])
    shown = section(render(gate(cell(record))), "cell-unsloth-2026.10.9-cpu-float32-mild")

    assert '<td class="r">—</td>' in shown
    assert "1 of 3 not reported" in shown


def test_emulated_hardware_is_labelled_wherever_it_is_named() -> None:
    text = Page(render(gate(cell(cell_id="s/t4/float16/mild", hardware=emulated())))).text

    named = re.findall(r"s/t4/float16/mild(.{12})", text)
    assert len(named) >= 6
    bare = [rest for rest in named if not rest.startswith(" (emulated)")]
    # Only the command that runs the cell again has the bare id.
    assert len(bare) == text.count("harness run s/t4/float16/mild")
    assert "Replaced by the emulation: torch.cuda probes; Triton kernels" in text
    assert "emulated: not the card’s speed or memory" in text  # noqa: RUF001


def test_native_hardware_is_not_called_emulated() -> None:
    body = Page(render(gate(cell()))).text

    assert "(emulated)" not in body
    assert "every cell computed on the hardware that it names" in body


def test_reused_records_say_when_they_were_measured(page: Page) -> None:
    assert "Reused: measured 2026-10-20 12:00 UTC" in page.text


def test_what_could_not_be_measured_is_listed_with_the_reason(page: Page) -> None:
    listed = page.text[page.text.index("What could not be measured") :]

    assert "… TIMEOUT completed time limit reference-2026.10.9/cpu/bfloat16/mild" in listed
    assert "throughput says UNCALIBRATED with 1.25" in listed
    assert "the run ended as CRASHED" in listed


def test_each_cell_has_the_command_that_runs_it_again(page: Page) -> None:
    for result in mixed().cells:
        assert f"harness run {result.record.cell_id}" in page.text


def test_translations_and_scores_are_shown() -> None:
    wrong = Translation(source="aqua", reference="acqua", hypothesis="")
    text = Page(render(gate(cell(translations=[wrong])))).text

    assert "exact match 100.0 %, chrF 100" in text
    assert "aqua acqua (empty) ≠ differs" in text


def test_an_attack_in_any_text_stays_text() -> None:
    text = render(hostile())
    page = Page(text)

    assert [tag for tag, _ in page.elements].count("script") == 1
    assert not list(page.named("img"))
    assert "onerror" not in {name for _, a in page.elements for name in a}
    assert text.count("</script>") == 1
    assert "{{7*7}}" in page.text
    assert "</script><script>alert('x')</script>\"'>" in page.text
    assert any(HOSTILE in label for label in page.values("aria-label"))


def test_text_that_steers_or_hides_is_made_visible() -> None:
    sneaky = "a\x1b[31mb\u202ec\x00d\ud800"
    text = render(gate(cell(fault=None, executed={"packages": {"torch": sneaky}})))

    assert "a\ufffd[31mb\ufffdc\ufffdd\ufffd" in text
    text.encode()


def test_cells_of_one_id_get_anchors_of_their_own() -> None:
    page = Page(render(gate(cell(), cell())))

    assert {"cell-unsloth-2026.10.9-cpu-float32-mild"} < set(page.values("id"))
    assert "cell-unsloth-2026.10.9-cpu-float32-mild-2" in page.values("id")


@pytest.mark.parametrize(
    "result",
    [
        gate(),
        gate(ended("INFRA", "no worker")),
        gate(CellResult(record=make_record(), verdicts=[])),
        gate(cell(evaluations=[math.nan] * 4, steps=[], phases=[], data={})),
        gate(cell(outcome=Outcome.INCOMPARABLE)),
    ],
    ids=["no cell", "no run", "no verdict", "all nan", "incomparable"],
)
def test_a_page_is_whole_however_little_was_measured(result: GateResult) -> None:
    assert Page(render(result)).stack == []


def test_five_hundred_cells_fit_with_every_red_one_in_full() -> None:
    result = many(500)
    text = render(result)

    assert len(text.encode()) <= MAX_BYTES
    assert text.count('<article class="cell') == 500
    assert "of 500 cells in brief to keep this page small" in text
    sections = text.split('<article class="cell ')[1:]
    # A crashed cell has no chart; a frozen one that is shown in full has.
    red = [part for part in sections if part.startswith("f")]
    assert len(red) == 200
    assert sum('class="charts"' in part for part in red) > 20
    assert not any('class="charts"' in part for part in sections if part.startswith("p"))


def test_long_runs_and_endless_texts_fit_too() -> None:
    result = many(50, step_count=1000)
    for one in result.cells:
        one.record.hardware.device = "x" * 50_000
        one.record.stack.overrides = ["y" * 50_000] * 3
        one.verdicts[1] = one.verdicts[1].model_copy(update={"message": "z" * 50_000})

    assert len(render(result).encode()) <= MAX_BYTES


def test_what_no_page_can_hold_is_left_out_worst_last_and_counted() -> None:
    result = many(300)
    text = render(result, limit=250_000)
    shown = text.count('<article class="cell')

    assert len(text.encode()) <= 250_000
    assert f"{300 - shown} further cells are left out" in text
    assert text.count('<article class="cell f"') == min(shown, 120)


def test_the_page_is_a_pure_function_of_the_result() -> None:
    result = mixed()

    assert render(result) == render(result.model_copy(deep=True))


def test_a_disturbed_cell_says_by_what() -> None:
    busy = Conditions(phase="train", cpu_others=0.4)
    quiet, disturbed = (Page(render(gate(cell(conditions=c)))).text for c in ([], [busy]))

    assert "Disturbed: shared: other processes took 40% of the CPU time during train" in disturbed
    assert "Disturbed" not in quiet
