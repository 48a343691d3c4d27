from datetime import UTC, datetime, timedelta

import pytest
from pypi_simple import DistributionPackage

from harness.bisect import history
from harness.bisect.history import Release, between, select
from harness.errors import StackBuildError, UnknownStackError

DAY = datetime(2025, 3, 1, tzinfo=UTC)
PUBLISHED = [
    Release("2025.3.10", DAY + timedelta(days=9)),
    Release("2025.3.2", DAY + timedelta(days=1)),
    Release("2025.3.9", DAY + timedelta(days=8)),
    Release("2025.4.0rc1", DAY + timedelta(days=20)),
    Release("2025.4.1", DAY + timedelta(days=30), yanked="broken wheel"),
    # A repair of an old line, published last.
    Release("2025.3.11", DAY + timedelta(days=40)),
    Release("2025.5.1", DAY + timedelta(days=50)),
]


def test_releases_come_in_the_order_of_upload() -> None:
    found = select(PUBLISHED, "2025.3.2", "2025.5.1")
    assert [r.version for r in found.releases] == [
        "2025.3.2", "2025.3.9", "2025.3.10", "2025.3.11", "2025.5.1",
    ]  # fmt: skip


def test_what_no_install_gave_is_left_out_and_named() -> None:
    assert select(PUBLISHED, "2025.3.2", "2025.5.1").left_out == (
        "2025.4.0rc1 is left out: a pre-release",
        "2025.4.1 is left out: yanked: broken wheel",
    )


def test_a_yanked_end_stays() -> None:
    found = select(PUBLISHED, "2025.4.1", "2025.3.10")
    assert [r.version for r in found.releases] == ["2025.3.10", "2025.4.1"]


@pytest.mark.parametrize("wrong", ["2025.3.3", "latest"])
def test_an_unknown_end_is_told_with_its_neighbours(wrong: str) -> None:
    with pytest.raises(UnknownStackError, match=f"no unsloth {wrong}; the nearest are"):
        select(PUBLISHED, "2025.3.2", wrong)


def test_two_equal_ends_are_no_question() -> None:
    with pytest.raises(UnknownStackError, match="both ends"):
        select(PUBLISHED, "2025.3.2", "2025.3.2")


def file(
    version: str, day: int | None, *, yanked: bool = False, reason: str | None = None
) -> DistributionPackage:
    return DistributionPackage(
        filename=f"unsloth-{version}-{day}-none-any.whl",
        url="https://example.invalid/file",
        project="unsloth",
        version=version,
        package_type="wheel",
        digests={},
        requires_python=None,
        has_sig=None,
        is_yanked=yanked,
        yanked_reason=reason,
        upload_time=None if day is None else DAY + timedelta(days=day),
    )


def test_a_release_is_of_its_first_file_and_yanked_with_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = [file("2025.3.1", 5), file("2025.3.1", 3), file("2025.3.2", 6, yanked=True)]
    files += [file("2025.3.3", 7, yanked=True), file("2025.3.3", 7), file("2025.3.4", 9)]
    monkeypatch.setattr(history, "_files", lambda: files)
    found = between("2025.3.4", "2025.3.1")
    assert [r.version for r in found.releases] == ["2025.3.1", "2025.3.3", "2025.3.4"]
    assert found.releases[0].uploaded == DAY + timedelta(days=3)
    assert found.left_out == ("2025.3.2 is left out: yanked",)


def test_an_index_without_upload_times_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_files", lambda: [file("2025.3.1", None)])
    with pytest.raises(StackBuildError, match="PEP 700"):
        between("2025.3.1", "2025.3.2")


def test_an_index_that_cannot_be_reached_is_told_without_its_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://user:secret@127.0.0.1:9/simple")
    with pytest.raises(StackBuildError, match="cannot list the releases") as raised:
        between("2025.3.1", "2025.3.2")
    assert "secret" not in str(raised.value)
