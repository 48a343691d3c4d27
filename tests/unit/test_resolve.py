from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.errors import StackBuildError, StorageError, UnknownStackError
from harness.inspection import Inspection
from harness.stacks import locking, resolve
from harness.stacks.resolve import AddedStack
from harness.stacks.stacks_file import Override, read_config
from harness.stacks.uv_tool import NoSolutionError
from tests.unit.fake_uv import FakeUv, replace_uv

TOML = 'schema = 1\npython = "3.11"\n\n[[departures]]\nwhere = "cpu"\ndrop = ["nvidia-*"]\nreason = "r"\n'
WORKS = Inspection({"unsloth": "1"}, {"transformers": 1.0}, ())

Add = Callable[..., AddedStack]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeUv:
    monkeypatch.setattr(resolve, "inspect_environment", lambda stack: WORKS)
    return replace_uv(monkeypatch, tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "stacks"
    folder.mkdir()
    (folder / "stacks.toml").write_text(TOML)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_release_is_locked_as_of_the_end_of_its_day(registry: FakeUv, folder: Path) -> None:
    added = resolve.add("2026.1.4", folder)
    assert (added.status, added.cutoff) == ("added", "2026-01-23T00:00:00Z")
    assert added.versions["transformers"] == "5.0.0"
    assert read_config(folder).releases["2026.1.4"].cutoff == "2026-01-23T00:00:00Z"
    assert added.lock_file.read_text().startswith("nvidia-nccl-cu12==2.2 \\\n    --hash=sha256:")


def test_what_is_built_is_the_lock_after_the_departures(registry: FakeUv, folder: Path) -> None:
    added = resolve.add("2026.1.4", folder)
    assert added.overrides == ("without nvidia-nccl-cu12: r",)
    assert added.inspection == WORKS
    (install,) = registry.installs()
    assert "--require-hashes" in install


def test_it_says_what_it_does(registry: FakeUv, folder: Path) -> None:
    said: list[str] = []
    resolve.add("2026.1.4", folder, said.append)
    assert [line.split()[0] for line in said] == ["unsloth", "as", "building", "importing", "added"]
    assert "transformers 5.0.0, torch 2.9.1" in said[1]


def test_latest_is_the_newest_release(registry: FakeUv, folder: Path) -> None:
    assert resolve.add("latest", folder).release == "2026.2.1"
    assert resolve.add("latest", folder).status == "present"


def test_what_is_there_is_left_alone(registry: FakeUv, folder: Path) -> None:
    resolve.add("2026.1.4", folder)
    before = contents(folder)
    registry.commands.clear()
    assert resolve.add("2026.1.4", folder).status == "present"
    assert contents(folder) == before
    assert registry.commands == []


def test_a_refresh_gives_the_same_bytes(registry: FakeUv, folder: Path) -> None:
    registry.unsolvable.add("unsloth==2026.2.1")
    resolve.add("2026.1.4", folder)
    resolve.add("2026.2.1", folder, overrides=[Override(requirement="certifi", reason="r")])
    before = contents(folder)
    for release in ("2026.1.4", "2026.2.1"):
        assert resolve.add(release, folder, refresh=True).status == "unchanged"
    assert contents(folder) == before


def test_a_refresh_says_when_the_lock_changed(registry: FakeUv, folder: Path) -> None:
    resolve.add("2026.1.4", folder)
    registry.sets["unsloth==2026.1.4"] = ["transformers==5.0.1"]
    added = resolve.add("2026.1.4", folder, refresh=True)
    assert added.status == "changed"
    assert "transformers==5.0.1" in added.lock_file.read_text()


def test_a_lost_lock_is_made_again(registry: FakeUv, folder: Path) -> None:
    before = resolve.add("2026.1.4", folder).lock_file.read_bytes()
    (folder / "unsloth-2026.1.4.lock").unlink()
    assert resolve.add("2026.1.4", folder).lock_file.read_bytes() == before


def test_releases_stay_in_order_and_departures_in_place(registry: FakeUv, folder: Path) -> None:
    for release in ("2026.2.1", "2025.3.14", "2026.1.4"):
        resolve.add(release, folder)
    assert list(read_config(folder).releases) == ["2025.3.14", "2026.1.4", "2026.2.1"]
    assert (folder / "stacks.toml").read_text().startswith(TOML)


def test_the_newest_locks_overrides_are_lent_where_there_is_no_solution(
    registry: FakeUv, folder: Path
) -> None:
    resolve.add("2026.1.4", folder, overrides=[Override(requirement="certifi", reason="r")])
    registry.unsolvable.add("unsloth==2026.2.1")
    said: list[str] = []
    resolve.add("2026.2.1", folder, said.append)
    (override,) = read_config(folder).releases["2026.2.1"].overrides
    assert override.requirement == "certifi"
    assert override.reason == "untouched it has no solution: unsloth depends on certifi>=99"
    assert any(override.reason in line for line in said)


def test_the_untouched_release_comes_first(registry: FakeUv, folder: Path) -> None:
    resolve.add("2026.1.4", folder, overrides=[Override(requirement="certifi", reason="r")])
    resolve.add("2026.2.1", folder)
    assert read_config(folder).releases["2026.2.1"].overrides == ()


def test_no_solution_at_all_gives_uvs_words(registry: FakeUv, folder: Path) -> None:
    registry.unsolvable.add("unsloth==2026.1.4")
    before = contents(folder)
    with pytest.raises(NoSolutionError, match="depends on certifi>=99"):
        resolve.add("2026.1.4", folder)
    assert contents(folder) == before


def test_an_override_of_a_later_day_is_looked_up(registry: FakeUv, folder: Path) -> None:
    later = Override(requirement="transformers==6.0.0", reason="r")
    resolve.add("2026.1.4", folder, overrides=[later])
    (override,) = read_config(folder).releases["2026.1.4"].overrides
    assert override.uploaded_before == "2026-02-21T00:00:00Z"


def test_an_override_of_an_earlier_day_needs_no_cutoff(registry: FakeUv, folder: Path) -> None:
    earlier = Override(requirement="transformers==5.0.0", reason="r")
    resolve.add("2026.1.4", folder, overrides=[earlier])
    assert read_config(folder).releases["2026.1.4"].overrides == (earlier,)


def test_an_override_may_be_of_a_later_day(registry: FakeUv, folder: Path) -> None:
    day = "2026-02-01T00:00:00Z"
    later = Override(requirement="transformers==5.1", reason="r", uploaded_before=day)
    added = resolve.add("2026.1.4", folder, overrides=[later])
    assert added.versions["transformers"] == "5.1"
    assert f"transformers={day}" in registry.commands[-3]
    assert read_config(folder).releases["2026.1.4"].overrides == (later,)


@pytest.mark.parametrize(
    ("release", "nearest"),
    [
        ("2026.1.3", "2025.3.14 and 2026.1.4"),
        ("2099.1.1", "the nearest are 2026.2.1."),
        ("2020.1.1", "the nearest are 2025.3.14."),
    ],
)
def test_an_unknown_release_names_its_neighbours(
    registry: FakeUv, folder: Path, release: str, nearest: str
) -> None:
    with pytest.raises(UnknownStackError, match=f"no unsloth {release}.*{nearest}"):
        resolve.add(release, folder)


@pytest.mark.parametrize("release", ["", "newest", "2026.1.4 ", "../../x", "2026.1.4;x", "=="])
def test_what_is_no_version_is_an_unknown_release(
    registry: FakeUv, folder: Path, release: str
) -> None:
    with pytest.raises(UnknownStackError, match="is not a version"):
        resolve.add(release, folder)
    assert registry.commands == []


def test_without_a_network_nothing_is_written(registry: FakeUv, folder: Path) -> None:
    registry.offline = True
    before = contents(folder)
    with pytest.raises(StackBuildError, match="network"):
        resolve.add("2026.1.4", folder)
    assert contents(folder) == before


def test_a_stack_that_does_not_import_is_not_added(
    registry: FakeUv, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = replace(WORKS, faults=("import trl: ImportError: x",))
    monkeypatch.setattr(resolve, "inspect_environment", lambda stack: broken)
    before = contents(folder)
    with pytest.raises(StackBuildError, match=r"import trl: ImportError: x\. Nothing was added"):
        resolve.add("2026.1.4", folder)
    assert contents(folder) == before


def test_an_index_without_upload_times_cannot_say_the_day(
    registry: FakeUv, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = locking.Package("unsloth", "2026.1.4", (), None)
    monkeypatch.setattr(locking, "published", lambda requirement: package)
    with pytest.raises(StackBuildError, match=r"does not say when unsloth 2026\.1\.4"):
        resolve.add("2026.1.4", folder)


def test_a_failed_write_leaves_no_entry(
    registry: FakeUv, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise StorageError("disk full")

    monkeypatch.setattr(resolve, "write_json_atomically", full)
    before = contents(folder)
    with pytest.raises(StorageError):
        resolve.add("2026.1.4", folder)
    assert contents(folder) == before


def test_the_end_of_a_day_is_not_in_the_future() -> None:
    now = datetime.now(UTC)
    assert locking.end_of_day(now) <= datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (
        locking.end_of_day(datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)) == "2026-03-01T00:00:00Z"
    )


def test_the_day_is_that_of_utc() -> None:
    eastern = datetime.fromisoformat("2026-02-01T02:00:00+05:00")
    assert locking.end_of_day(eastern) == "2026-02-01T00:00:00Z"


def test_the_resolution_is_for_one_platform_at_one_moment(registry: FakeUv, folder: Path) -> None:
    resolve.add("2026.1.4", folder)
    command = next(c for c in registry.commands if "--exclude-newer" in c)
    options = " ".join(command)
    assert "--python-version 3.11 --python-platform x86_64-manylinux_2_28" in options
    assert "--exclude-newer 2026-01-23T00:00:00Z" in options
