from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.stacks import as_of_day, kept_locks
from harness.stacks.as_of_day import lent_overrides, release_of
from harness.stacks.stack import versions_of
from harness.stacks.stacks_file import Override
from tests.unit.fake_uv import FakeUv, replace_uv

UPLOADED = datetime(2026, 2, 5, 23, tzinfo=UTC)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeUv:
    return replace_uv(monkeypatch, tmp_path)


def test_a_release_whose_lock_ships_is_its_own_stack(registry: FakeUv) -> None:
    assert release_of("2026.10.9", UPLOADED) == "2026.10.9"
    assert registry.commands == []


def test_another_is_resolved_once_and_kept(registry: FakeUv) -> None:
    release = release_of("2026.2.1", UPLOADED)
    kept = kept_locks.find(release)
    assert versions_of(kept.lock)["torch"] == "2.10.0"
    assert kept.said == ("resolved as of 2026-02-06T00:00:00Z",)
    registry.offline = True
    assert release_of("2026.2.1", UPLOADED) == release


def test_a_kept_lock_that_is_gone_is_resolved_again(registry: FakeUv, tmp_path: Path) -> None:
    release = release_of("2026.2.1", UPLOADED)
    (tmp_path / "cache" / "locks" / f"{release}.json").unlink()
    assert release_of("2026.2.1", UPLOADED) == release


def test_overrides_give_another_lock_that_says_so(registry: FakeUv) -> None:
    other = Override(requirement="transformers==6.0.0", reason="the day has no Gemma-3")
    release = release_of("2026.2.1", UPLOADED, [other])
    assert release != release_of("2026.2.1", UPLOADED)
    kept = kept_locks.find(release)
    assert versions_of(kept.lock)["transformers"] == "6.0.0"
    assert kept.said[1] == "resolved with transformers==6.0.0: the day has no Gemma-3"


TOO_OLD = "RuntimeError: Unsloth: Gemma 3 only works on transformers >= 4.50.0."


def test_what_the_same_weeks_needed_is_lent() -> None:
    lent = lent_overrides("2025.3.17", datetime(2025, 3, 19, 15, tzinfo=UTC), TOO_OLD)
    assert lent is not None
    assert lent[0] == "2025.3.16"
    assert [override.requirement for override in lent[1]] == ["transformers==4.50.0"]


@pytest.mark.parametrize(
    ("day", "message"),
    [
        (datetime(2025, 3, 19, tzinfo=UTC), "NameError: name 'forward' is not defined"),
        (datetime(2026, 3, 3, tzinfo=UTC), TOO_OLD),
    ],
)
def test_nothing_is_lent_for_another_failure_or_in_another_season(
    day: datetime, message: str
) -> None:
    assert lent_overrides("2025.3.17", day, message) is None


def test_the_window_is_weeks() -> None:
    assert 7 < as_of_day.WEEKS.days < 60
