import json
import sys
from datetime import UTC, datetime
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from harness.errors import ConfigError, StackBuildError, UnknownStackError
from harness.locations import cache_dir
from harness.stacks import live as live_stacks
from harness.stacks import locking
from harness.stacks import stack as stacks
from harness.stacks.stack import load_stack, parse_name, releases
from harness.stacks.stacks_file import (
    STACKS_DIR,
    Override,
    Release,
    Where,
    in_order,
    parse_config,
    with_release,
)
from tests.unit.fake_uv import FakeUv, replace_uv

PATH = Path("stacks.toml")
HEAD = 'schema = 1\npython = "3.11"\n'


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeUv:
    return replace_uv(monkeypatch, tmp_path)


# --- the locks that ship


@pytest.mark.parametrize("release", releases())
@pytest.mark.parametrize("where", ["cpu", "gpu"])
def test_shipped_lock_is_of_its_release(release: str, where: Where) -> None:
    stack = load_stack(f"unsloth-{release}", where)
    assert stack.versions["unsloth"] == release
    assert {"unsloth-zoo", "transformers", "trl", "peft", "torch", "triton"} <= set(stack.versions)


@pytest.mark.parametrize("release", releases())
def test_every_shipped_package_has_a_hash(release: str) -> None:
    lock = stacks.lock_path(release).read_text(encoding="utf-8")
    entries = lock.replace(" \\\n", " ").splitlines()
    assert all("--hash=sha256:" in entry for entry in entries)
    assert len(entries) == len(stacks.versions_of(lock))


@pytest.mark.parametrize("release", releases())
def test_without_a_gpu_the_torch_is_the_cpu_build(release: str) -> None:
    stack = load_stack(f"unsloth-{release}", "cpu")
    assert stack.versions["torch"] == "2.13.0+cpu"
    assert not [package for package in stack.versions if package.startswith("nvidia-")]
    assert any("replaced by torch==2.13.0+cpu" in said for said in stack.overrides)


@pytest.mark.parametrize("release", releases())
def test_with_a_gpu_unsloth_gets_the_untouched_lock(release: str) -> None:
    untouched = stacks.lock_path(release).read_text(encoding="utf-8")
    assert load_stack(f"unsloth-{release}", "gpu").lock == untouched


@pytest.mark.parametrize("release", releases())
def test_the_reference_has_no_unsloth(release: str) -> None:
    versions = load_stack(f"reference-{release}", "cpu").versions
    assert not {"unsloth", "unsloth-zoo", "trl", "triton", "torchvision"} & set(versions)
    assert (
        versions["transformers"] == load_stack(f"unsloth-{release}", "cpu").versions["transformers"]
    )


def test_the_torch_put_in_place_gets_the_setuptools_it_requires() -> None:
    for release in releases():
        assert "setuptools" in load_stack(f"unsloth-{release}", "cpu").versions


def test_torchvision_stays_where_the_zoo_imports_it_unguarded() -> None:
    assert "torchvision" in load_stack("unsloth-2026.1.4", "cpu").versions
    assert "torchvision" not in load_stack("unsloth-2026.10.9", "cpu").versions


def test_the_override_of_2025_3_14_is_said() -> None:
    stack = load_stack("unsloth-2025.3.14", "gpu")
    assert stack.versions["transformers"] == "4.50.0"
    assert "Gemma 3 only works on transformers >= 4.50.0" in stack.info().overrides[0]


def test_digest_tells_apart_what_is_installed() -> None:
    names = [f"{family}-{release}" for release in releases() for family in ("unsloth", "reference")]
    digests = {load_stack(name, where).digest for name in names for where in ("cpu", "gpu")}
    assert len(digests) == 2 * len(names)


@given(st.lists(st.tuples(st.integers(2024, 2030), st.integers(1, 12), st.integers(1, 31))))
def test_releases_are_in_the_order_of_versions(days: list[tuple[int, int, int]]) -> None:
    found = [".".join(map(str, day)) for day in days]
    assert in_order(found) == sorted(found, key=Version)


# --- names


@pytest.mark.parametrize(
    "name", ["unsloth", "unsloth-1999.1.1", "trl-1.0", "unsloth-2026.10.9/x", ""]
)
def test_unknown_stack_says_what_there_is(name: str) -> None:
    with pytest.raises(
        UnknownStackError, match=r"releases with a lock are 2025\.3\.14, .*harness stack add"
    ):
        parse_name(name)


def test_a_name_is_a_family_and_a_release() -> None:
    assert parse_name("reference-2025.8.6") == ("reference", "2025.8.6")
    assert parse_name("frontier") == ("unsloth", "frontier")


# --- stacks.toml


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema = 1", "python"),
        ("schema = 2\npython = '3.11'", "schema"),
        ("schema = [", "is not TOML"),
        (HEAD + "[[departures]]\nreason = 'r'", "one of `drop`, `add`, or `replace` and `with`"),
        (HEAD + "[[departures]]\nreason = 'r'\nreplace = 'torch'", "one of `drop`"),
        (HEAD + "[[departures]]\nreason = 'r'\ndrop = ['a']\nadd = 'b==1'", "one of `drop`"),
        (HEAD + "[[departures]]\nreason = 'r'\ndrop = ['a']\nwhere = 'tpu'", "departures.0.where"),
        (HEAD + "[[departures]]\ndrop = ['a']", "departures.0.reason"),
        (HEAD + "[releases.'1']\ncut = ''", "releases.1"),
    ],
)
def test_unusable_file_names_the_key(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        parse_config(text, PATH)
    assert "stacks.toml" in str(caught.value)


def test_missing_lock_is_a_config_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stacks, "lock_path", lambda release: tmp_path / "gone.lock")
    stacks.reload()
    with pytest.raises(ConfigError, match=r"gone\.lock"):
        load_stack("unsloth-2025.8.6", "cpu")
    stacks.reload()


def departed(departure: str, release: str = "2026.1.4") -> stacks.Stack:
    config = parse_config(f"{HEAD}[[departures]]\nreason = 'because'\n{departure}", PATH)
    lock = "nvidia-a==1 \\\n    --hash=sha256:aa\nnvidia-b==2\ntorch==2.9.1\n"
    return stacks.assemble(config, "unsloth", release, "cpu", lock)


def test_dropped_packages_are_named() -> None:
    stack = departed("drop = ['nvidia-*']")
    assert stack.lock == "torch==2.9.1\n"
    assert stack.overrides == ("without nvidia-a, nvidia-b: because",)


def test_replaced_package_takes_the_new_hashes() -> None:
    stack = departed("replace = 'nvidia-a'\nwith = 'nvidia-a==9'\nhashes = ['sha256:bb']")
    assert stack.lock.startswith("nvidia-a==9 \\\n    --hash=sha256:bb\nnvidia-b==2\n")
    assert stack.overrides == ("nvidia-a==1 replaced by nvidia-a==9: because",)


def test_added_package_is_in_its_place() -> None:
    stack = departed("add = 'setuptools==77.0.3'\nhashes = ['sha256:bb']")
    assert list(stack.versions) == ["nvidia-a", "nvidia-b", "setuptools", "torch"]
    assert stack.overrides == ("with setuptools==77.0.3: because",)


@pytest.mark.parametrize(
    "departure",
    [
        "drop = ['absent']",
        "add = 'torch==1'",
        "replace = 'absent'\nwith = 'absent==1'",
        "replace = 'torch'\nwith = 'torch==2.9.1'",
        "drop = ['torch']\nwhere = 'gpu'",
        "drop = ['torch']\nfamily = 'reference'",
        "drop = ['torch']\nreleases = ['2026.10.*']",
        "drop = ['torch']\nnot_releases = ['2026.1.*']",
    ],
)
def test_a_departure_that_does_not_apply_changes_and_says_nothing(departure: str) -> None:
    stack = departed(departure)
    assert list(stack.versions) == ["nvidia-a", "nvidia-b", "torch"]
    assert stack.overrides == ()


def test_release_patterns_hold_for_their_months_only() -> None:
    pattern = "drop = ['torch']\nreleases = ['2026.[1-4].*']"
    assert "torch" not in departed(pattern, "2026.1.4").versions
    assert "torch" in departed(pattern, "2026.10.9").versions


TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)


@given(TEXT, TEXT, st.sampled_from([None, "2026-01-02T00:00:00Z"]))
def test_a_written_release_reads_back(requirement: str, reason: str, day: str | None) -> None:
    override = Override(requirement=requirement, reason=reason, uploaded_before=day)
    release = Release(cutoff="2026-01-01T00:00:00Z", overrides=(override,))
    text = with_release(HEAD + "# kept\n", "2026.1.1", release, PATH)
    assert parse_config(text, PATH).releases == {"2026.1.1": release}
    assert "# kept\n" in text


def test_writing_a_release_that_is_there_changes_nothing() -> None:
    text = (STACKS_DIR / "stacks.toml").read_text(encoding="utf-8")
    for name, release in parse_config(text, PATH).releases.items():
        assert with_release(text, name, release, PATH) == text


def test_releases_are_written_in_order() -> None:
    text = HEAD
    for name in ("2026.10.9", "2025.3.14", "2026.9.1"):
        text = with_release(text, name, Release(cutoff="x"), PATH)
    assert list(parse_config(text, PATH).releases) == ["2025.3.14", "2026.9.1", "2026.10.9"]


def test_a_table_after_the_releases_is_not_lost() -> None:
    text = HEAD + "[releases.'1']\ncutoff = 'x'\n[[departures]]\nreason = 'r'\ndrop = ['a']\n"
    text = text.replace("[releases.'1']", '[releases."1"]')
    with pytest.raises(ConfigError, match="nothing but releases may follow"):
        with_release(text, "2", Release(cutoff="x"), PATH)


# --- current


class Installed(Distribution):
    def __init__(self, name: str, version: str, origin: dict[str, object] | None = None) -> None:
        self._files = {"METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"}
        if origin is not None:
            self._files["direct_url.json"] = json.dumps(origin)

    def read_text(self, filename: str) -> str | None:
        return self._files.get(filename)

    def locate_file(self, path: object) -> Path:
        raise NotImplementedError


PLAIN = [Installed(name, "1.0") for name in ("torch", "transformers", "peft", "accelerate")]
WITH_UNSLOTH = [
    *PLAIN,
    *(Installed(name, "2.0") for name in ("trl", "datasets", "unsloth_zoo")),
    Installed("Unsloth", "2026.10.9"),
]


def install(monkeypatch: pytest.MonkeyPatch, found: list[Installed]) -> None:
    monkeypatch.setattr(live_stacks, "distributions", lambda: found)
    stacks.reload()


def test_current_is_the_interpreter_of_the_harness(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, WITH_UNSLOTH)
    stack = load_stack("current", "cpu")
    assert (stack.name, stack.family, stack.release) == ("current", "unsloth", "2026.10.9")
    assert stack.interpreter == Path(sys.executable)
    assert stack.versions["unsloth-zoo"] == "2.0"
    assert parse_name("current") == ("unsloth", "2026.10.9")
    assert "not built" in stack.info().overrides[0]


def test_current_without_unsloth_is_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, PLAIN)
    stack = load_stack("current", "gpu")
    assert (stack.family, stack.release, stack.where) == ("reference", "1.0", "gpu")


@pytest.mark.parametrize("lost", ["torch", "transformers", "trl"])
def test_current_says_what_to_install(monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    install(monkeypatch, [d for d in WITH_UNSLOTH if d.metadata["Name"] != lost])
    with pytest.raises(UnknownStackError, match=f"lacks {lost}.*pip install"):
        load_stack("current", "cpu")


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ({"url": "file:///u", "dir_info": {"editable": True}}, "does not see a change of its code"),
        ({"url": "https://x/u", "vcs_info": {"vcs": "git", "commit_id": "abc"}}, "commit abc"),
        ({"url": "https://secret@x/u-1.whl", "archive_info": {}}, "u-1.whl"),
    ],
)
def test_current_says_where_unsloth_is_from(
    monkeypatch: pytest.MonkeyPatch, origin: dict[str, object], said: str
) -> None:
    install(monkeypatch, WITH_UNSLOTH)
    plain = load_stack("current", "cpu").digest
    install(monkeypatch, [*WITH_UNSLOTH[:-1], Installed("unsloth", "2026.10.9", origin)])
    stack = load_stack("current", "cpu")
    assert said in stack.overrides[1]
    assert "secret" not in "".join(stack.overrides) + stack.lock
    assert stack.digest != plain


# --- frontier

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_frontier_passes_the_bounds_and_says_so(registry: FakeUv) -> None:
    stack = live_stacks.frontier("cpu", NOW)
    assert (stack.name, stack.release) == ("frontier", "2026.2.1")
    assert stack.versions["transformers"] == "6.0.0"
    said = "\n".join(stack.overrides)
    assert "past Unsloth's own bounds: transformers==6.0.0, trl==1.0.0" in said
    assert "transformers 6.0.0, where unsloth 2026.2.1 by its own bounds resolves to 5.0.0" in said


def test_frontier_within_the_bounds_says_so(registry: FakeUv) -> None:
    stack = live_stacks.frontier("cpu", datetime(2026, 2, 10, tzinfo=UTC))
    assert "its bounds allow them all" in stack.overrides


def test_frontier_is_resolved_once_a_day(registry: FakeUv) -> None:
    first = live_stacks.frontier("cpu", NOW)
    registry.offline = True
    assert live_stacks.frontier("cpu", NOW.replace(hour=23)) == first
    with pytest.raises(StackBuildError, match="network"):
        live_stacks.frontier("cpu", NOW.replace(day=2))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"release": "1"}', "null"])
def test_a_damaged_frontier_file_is_resolved_again(registry: FakeUv, text: str) -> None:
    first = live_stacks.frontier("cpu", NOW)
    (file,) = (cache_dir() / "frontier").glob("*.json")
    file.write_text(text)
    assert live_stacks.frontier("cpu", NOW) == first


def test_frontier_does_not_see_what_is_published_today(registry: FakeUv) -> None:
    registry.uploads["transformers==7.0.0"] = "2026-03-01T06:00:00Z"
    assert live_stacks.frontier("cpu", NOW).versions["transformers"] == "6.0.0"


def test_frontier_needs_an_override_where_the_newest_release_did(registry: FakeUv) -> None:
    registry.unsolvable.add("unsloth==2026.2.1")
    stack = live_stacks.frontier("cpu", NOW)
    assert (
        "resolved with certifi: untouched it has no solution: unsloth depends on"
        in stack.overrides[0]
    )


def test_without_any_unsloth_the_index_is_at_fault(registry: FakeUv) -> None:
    with pytest.raises(StackBuildError, match="no unsloth"):
        live_stacks.frontier("cpu", datetime(2020, 1, 1, tzinfo=UTC))


def test_name_of_a_requirement() -> None:
    assert locking.name_of("Unsloth_Zoo[extra]>=1; python_version>'3'") == "unsloth-zoo"
