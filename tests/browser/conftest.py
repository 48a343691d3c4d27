"""A page of the report in the system's Chromium, with what it logs and what it asks for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from harness.gate import GateResult
from harness.reports.html import render
from tests.browser import chromium


@dataclass
class Opened:
    """A page, and everything it should not do."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


Opener = Callable[..., Opened]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = chromium.find()
    if program is None:
        pytest.skip(chromium.MISSING)
    with chromium.running(program) as launched:
        yield launched


@pytest.fixture
def open_report(browser: Browser, tmp_path: Path) -> Iterator[Opener]:
    """Render a result and open it; keyword arguments go to the browser context."""
    contexts: list[BrowserContext] = []

    def open_(result: GateResult, *, anchor: str = "", **options: object) -> Opened:
        path = tmp_path / f"report-{len(contexts)}.html"
        path.write_text(render(result), encoding="utf-8")
        context = browser.new_context(**options)  # type: ignore[arg-type]
        contexts.append(context)
        opened = Opened(context.new_page())
        opened.page.on("console", lambda message: opened.complaints.append(message.text))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.goto(path.as_uri() + anchor)
        return opened

    yield open_
    for context in contexts:
        context.close()
