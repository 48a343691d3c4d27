from pathlib import Path

import pytest

from harness.cell_result import CellResult
from harness.errors import ConfigError, UnknownStackError
from harness.matrix import Overrides, load_matrix
from harness.plan import Options, Plan
from harness.releases import histories, release_of
from harness.stacks import kept_locks
from harness.stacks.kept_locks import KeptLock, find, keep
from harness.stacks.stack import load_stack, lock_path, parse_name
from tests.unit.records import make_record

NEWEST = lock_path("2026.10.9").read_text(encoding="utf-8")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeptLock:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    load_stack.cache_clear()
    return KeptLock(version="2026.10.9", python="3.11", lock=NEWEST, said=("from uv.lock",))


def test_a_kept_lock_is_found_by_the_release_that_names_it(kept: KeptLock) -> None:
    assert find(keep(kept)) == kept


def test_the_name_is_of_the_packages_and_the_python_alone(kept: KeptLock) -> None:
    again = kept.model_copy(update={"said": ("from another file",)})
    other = kept.model_copy(update={"lock": NEWEST.replace("certifi==", "certifi==1.")})
    third = kept.model_copy(update={"python": "3.12"})

    assert again.release == kept.release
    assert len({kept.release, other.release, third.release}) == 3


def test_its_stacks_have_the_departures_of_its_version(kept: KeptLock) -> None:
    release = keep(kept)
    shipped = load_stack("unsloth-2026.10.9", "cpu")

    stack = load_stack(f"unsloth-{release}", "cpu")

    assert stack.name == f"unsloth-{release}"
    assert (stack.release, stack.family) == ("2026.10.9", "unsloth")
    assert stack.lock == shipped.lock
    assert stack.overrides[0] == "from uv.lock"
    assert any("torch==2.13.0+cpu" in said for said in stack.overrides)
    assert parse_name(f"reference-{release}") == ("reference", "2026.10.9")
    assert "unsloth" not in load_stack(f"reference-{release}", "cpu").versions


@pytest.mark.parametrize("name", ["unsloth-2026.10.9@00000000", "reference-2026.10.9@00000000"])
def test_a_lock_that_is_not_kept_here_is_named(kept: KeptLock, name: str) -> None:
    with pytest.raises(UnknownStackError, match="@00000000"):
        parse_name(name)


def test_a_damaged_lock_says_what_to_do(kept: KeptLock, tmp_path: Path) -> None:
    release = keep(kept)
    (tmp_path / "locks" / f"{release}.json").write_text("{", encoding="utf-8")

    with pytest.raises(ConfigError, match="Delete it"):
        find(release)


def test_releases_with_a_kept_lock_keep_the_given_order(kept: KeptLock) -> None:
    old = keep(kept.model_copy(update={"lock": NEWEST + "# old\n"}))
    new = keep(kept)

    for given in ((old, new), (new, old), (new, "2026.10.8")):
        assert load_matrix(overrides=Overrides(releases=given)).releases == list(given)


def test_cells_that_only_a_newer_release_has_go_by_the_version_of_the_lock(kept: KeptLock) -> None:
    older = keep(kept.model_copy(update={"version": "2026.10.8"}))
    newer = keep(kept)

    cells = load_matrix(overrides=Overrides(releases=(older, newer))).cells

    assert f"unsloth-{newer}/cpu/float32/mild" in [cell.id for cell in cells]
    assert f"unsloth-{older}/cpu/float32/mild" not in [cell.id for cell in cells]


def test_the_given_order_is_the_order_of_comparison(kept: KeptLock) -> None:
    old, new = keep(kept), keep(kept.model_copy(update={"lock": NEWEST + "# new\n"}))
    plan = Plan(Options(overrides=Overrides(releases=(old, new))))
    cells = [
        CellResult(
            record=make_record(cell_id=f"unsloth-{release}/x", stack=stack.info()), verdicts=[]
        )
        for release in (new, old)
        for stack in [load_stack(f"unsloth-{release}", "cpu")]
    ]

    (history,) = histories(plan.placed(cells))

    assert [release.label for release, _ in history.cells] == [old, new]


def test_a_label_says_the_digest(kept: KeptLock) -> None:
    release = keep(kept)
    stack = load_stack(f"unsloth-{release}", "cpu").info()
    found = release_of(make_record(stack=stack))

    assert found is not None
    assert found.label == release == f"2026.10.9{kept_locks.MARK}{release[-8:]}"
