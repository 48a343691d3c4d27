"""One self-contained HTML page: no network, at most two megabytes, readable without a script."""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from harness.gate import GateResult
from harness.loss_shift import SAME_DTYPE, TRAINED
from harness.precision_facts import FLOAT16_MAX
from harness.reports import (
    answer,
    curves,
    differences,
    facts,
    intervals,
    loss_figures,
    pivot,
    precision_choice,
    releases,
    speed,
    tables,
    upgrading,
    views,
    wording,
)
from harness.reports.releases import ReleasesView
from harness.reports.views import CellView
from harness.upgrades import StepVerdict
from harness.verdict import Outcome

MAX_BYTES = 2_000_000
"""Size of the page, UTF-8. Records that do not fit are shown in brief, green ones first."""

MAX_CELLS = 1_000
_MAX_TEXT = 6_000
_NOTE_BYTES = 300
_SECTIONS = Markup("<!-- sections -->")
"""No text of a record can hold this marker: its `<` would be escaped."""
_STEP_ROWS = 60
_STEP_CHARTS = 12
"""What one step between releases lists at most; fewer when there are many steps."""
_MANY = 40
"""With more sections than this the browser lays them out only as they come into view."""


def render(
    result: GateResult, limit: int = MAX_BYTES, comparison: ReleasesView | None = None
) -> str:
    """Render the whole report.

    Every cell gets a row in the tables and a section of its own. When full sections would pass the
    limit, red cells keep theirs and the others are shown in brief; the page says so.

    Args:
        result: What the gate judged.
        limit: Largest size of the page in bytes of UTF-8.
        comparison: The view of its releases, where there is one already.

    Returns:
        The text of one HTML file; everything that comes from a record is escaped.
    """
    comparison = comparison or releases.view(result)
    said = {
        "state": answer.state(result),
        "reason": answer.paragraph(result),
        "caveats": answer.caveats(result),
        "findings": answer.findings(result),
        "gaps": answer.gaps(result),
        "containments": Counter(facts.containment(cell.record) for cell in result.cells),
    }
    for shown in _fewer(min(len(result.cells), MAX_CELLS)):
        page = _Page(result, comparison, said, shown)
        frame = page.frame()
        text = frame.replace(_SECTIONS, page.sections(limit - _bytes(frame)), 1)
        if _bytes(text) <= limit:
            break
    return text


class _Page:
    """The parts of one page, for the worst `shown` cells in the order of the run."""

    def __init__(
        self, result: GateResult, comparison: ReleasesView, said: dict[str, Any], shown: int
    ) -> None:
        keep = {id(cell) for cell in facts.worst_first(result.cells)[:shown]}
        self.result = result
        self.releases = comparison
        self.said = said
        self.views = views.cell_views([cell for cell in result.cells if id(cell) in keep])
        self.by_cell = {id(view.cell): view for view in self.views}
        self.aspects = views.aspects(self.views)
        self.stacks = views.stack_views(self.views)
        self.stack_of = {id(view): stack for stack in self.stacks for view in stack.cells}

    def frame(self) -> str:
        """Render everything but the cells' own sections, with a marker in their place."""
        cells = [view.cell for view in self.views]
        steps = max(1, len(self.releases.steps))
        return template("report.html.j2").render(
            result=self.result,
            **self.said,
            views=self.views,
            by_cell=self.by_cell,
            grid=pivot.grid(cells),
            checks=pivot.check_names(cells),
            check_outcomes=pivot.check_outcomes,
            aspects=self.aspects,
            speed_rows=speed.rows(self.views),
            figures=loss_figures.figures(self.views),
            stacks=self.stacks,
            sections=_SECTIONS,
            many=len(self.views) > _MANY,
            releases=self.releases,
            room=min(_STEP_ROWS, len(cells), 240 // steps),
            charts=min(_STEP_CHARTS, len(cells), 48 // steps),
            left_out=len(self.result.cells) - len(self.views),
        )

    def sections(self, budget: int) -> str:
        """Render each cell in full while the budget of bytes lasts, worst first; else in brief.

        Returns:
            The sections in the order of the run, after a note on how many of them are in brief.
        """
        chosen = [self._section(view, full=False) for view in self.views]
        spent = sum(map(_bytes, chosen)) + _NOTE_BYTES
        in_brief = len(chosen)
        for view in sorted(self.views, key=lambda view: facts.severity(view.cell)):
            full = self._section(view, full=True)
            spent += _bytes(full) - _bytes(chosen[view.index])
            if spent > budget:
                break
            chosen[view.index] = full
            in_brief -= 1
        note = (
            f'<p class="note">{in_brief} of {wording.count(len(chosen), "cell")} in brief to keep '
            "this page small, red cells last; all of it is in <code>result.json</code>.</p>\n"
        )
        return (note if in_brief else "") + "".join(chosen)

    def _section(self, view: CellView, *, full: bool) -> Markup:
        _, arguments, variables = self.aspects[:3]
        return Markup(  # noqa: S704 (a template rendered with autoescape)
            template("cell.html.j2").render(
                view=view,
                record=view.record,
                full=full,
                stack=self.stack_of[id(view)],
                arguments=views.own_facts(view, arguments, differences.arguments),
                variables=views.own_facts(view, variables, differences.variables),
                executed=differences.executed_path(view.record) or {},
            )
        )


def _fewer(shown: int) -> Iterator[int]:
    while shown:
        yield shown
        shown //= 2
    yield 0


def _bytes(text: str) -> int:
    return len(text.encode())


def template(name: str) -> Template:
    """Return a template of this folder, in which every text is made printable and escaped."""
    return _environment().get_template(name)


def _tidy(value: Any) -> Any:
    """Make any text of a record printable and of bounded length before it is escaped."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return wording.short(wording.clean(value), _MAX_TEXT)
    return value


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("harness.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_tidy,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    folder = files("harness.reports") / "templates"
    style = (folder / "report.css").read_text(encoding="utf-8").strip()
    script = (folder / "report.js").read_text(encoding="utf-8").strip()
    environment.globals.update(
        style=Markup(style),  # noqa: S704 (our own file)
        script=Markup(script),  # noqa: S704 (our own file)
        style_digest=_csp_digest(style),
        script_digest=_csp_digest(script),
        outcomes=list(Outcome),
        meanings=wording.MEANINGS,
        words=wording,
        facts=facts,
        choice=precision_choice,
        float16_max=FLOAT16_MAX,
        tables=tables,
        curves=curves,
        speed=speed,
        confidence=intervals.CONFIDENCE,
        band_limits=(SAME_DTYPE, TRAINED),
    )
    environment.filters.update(
        ident=id,
        wbr=_breakable,
        symbol=wording.SYMBOLS.__getitem__,
        kind=_kind,
        loss=wording.loss,
        number=wording.number,
        seconds=wording.seconds,
        size=wording.size,
        rate=wording.rate,
        perplexity=wording.perplexity,
        percent=wording.percent,
        plain=wording.plain,
        cut=wording.short,
        line=wording.one_line,
        moment=wording.moment,
        containment=facts.containment,
        step_symbol=upgrading.SYMBOLS.__getitem__,
        step_kind=_step_kind,
    )
    return environment


def _breakable(cell_id: str) -> Markup:
    """Let a cell id wrap after a slash, and only there."""
    return Markup("/<wbr>").join(wording.clean(cell_id).split("/"))


def _kind(outcome: Outcome) -> str:
    """Return the style class: passed, red, unanswered run, or non-answer of one check."""
    if outcome is Outcome.PASS:
        return "p"
    return "f" if outcome.is_red else "u" if outcome.is_unanswered_run else "n"


def _step_kind(verdict: StepVerdict) -> str:
    """Return the style class of a step: passed, red, unanswered, red on both sides, or none."""
    if verdict in (StepVerdict.SAFE, StepVerdict.FIXED):
        return "p"
    kinds = {StepVerdict.NOT_SAFE: "f", StepVerdict.NO_ANSWER: "u", StepVerdict.STILL_RED: "s"}
    return kinds.get(verdict, "n")


def _csp_digest(text: str) -> str:
    """Return the hash by which a content security policy allows one inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
