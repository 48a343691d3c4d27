from pathlib import Path

from playwright.sync_api import Browser

from harness.reports import history_page
from tests.unit.gate_results import HOSTILE
from tests.unit.test_history import run, traced
from tests.unit.test_reports_history import NOW


def test_the_page_opens_without_complaint_or_request(browser: Browser, tmp_path: Path) -> None:
    speeds = [10.0 if n < 8 else 9.0 for n in range(16)]
    found = traced(
        *(
            run(n, "2026.1.1" if n < 8 else "2026.2.1", s, device=HOSTILE)
            for n, s in enumerate(speeds)
        ),
        run(20, status=HOSTILE),
    )
    path = tmp_path / "history.html"
    path.write_text(history_page.render(found, NOW), encoding="utf-8")
    complaints: list[str] = []
    requests: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))

    page.goto(path.as_uri())

    assert page.get_by_text("-10.0 % worse").is_visible()
    assert page.get_by_text(f"on {HOSTILE}", exact=False).first.is_visible()
    assert complaints == []
    assert requests == [path.as_uri()]
    page.close()
