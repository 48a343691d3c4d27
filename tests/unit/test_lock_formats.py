"""Lock files as uv, pip and Poetry wrote them; each says in its first lines how it was made."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dependency_update import annotations
from harness.dependency_update import update as updates
from harness.dependency_update.answer import Answer
from harness.errors import InputError
from harness.lock_files import LockFile, is_lock_file, poetry_lock, read
from harness.lock_files.stack_lock import keep_stack
from harness.stacks import kept_locks
from harness.stacks.stack import load_stack
from harness.upgrades import StepVerdict
from tests.unit.fake_uv import FakeUv, replace_uv

LOCKS = Path(__file__).parent / "lock_files"
NAMES = ("uv.lock", "pylock.toml", "pylock.pip.toml", "poetry.lock")

PYLOCK = """\
lock-version = "1.0"
created-by = "a test"
extras = ["train"]
dependency-groups = ["dev", "tune"]
default-groups = ["dev"]

[[packages]]
version = "1"
name = "always"
wheels = [{ url = "https://example.org/always-1-py3-none-any.whl", hashes = { sha256 = "aa" } }]

[[packages]]
name = "unsloth"
version = "2026.1.4"
marker = "'train' in extras"
wheels = [{ url = "https://example.org/unsloth-2026.1.4-py3-none-any.whl", hashes = { sha512 = "b" } }]

[[packages]]
name = "trl"
marker = "'tune' in dependency_groups"
vcs = { type = "git", url = "https://example.org/trl.git", commit-id = "c0ffee" }

[[packages]]
name = "ruff"
version = "2"
marker = "'dev' in dependency_groups"
wheels = [{ url = "https://example.org/ruff-2-py3-none-any.whl", hashes = { sha256 = "cc" } }]
"""
POETRY = """\
[[package]]
name = "torch"
version = "2.0.0"
{}

[metadata]
lock-version = "2.1"
"""


def real(name: str) -> LockFile:
    return read((LOCKS / name).read_text(encoding="utf-8"), name)


def versions(lock: LockFile) -> dict[str, str]:
    return {str(name): pin.version for name, pin in lock.pins.items()}


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeUv:
    load_stack.cache_clear()
    fake = replace_uv(monkeypatch, tmp_path)
    fake.uploads["unsloth==2026.10.8"] = "2026-10-23T00:00:00Z"
    return fake


# --- what real tools wrote


@pytest.mark.parametrize("name", NAMES)
def test_every_pin_of_a_real_file_is_on_the_line_that_says_it(name: str) -> None:
    lines = (LOCKS / name).read_text(encoding="utf-8").splitlines()
    lock = real(name)
    assert versions(lock)["unsloth"] == "2026.10.8"
    assert versions(lock)["trl"] == "1.15.0"
    for pin in lock.pins.values():
        assert lines[pin.line - 2 : pin.line] == [
            f'name = "{pin.name}"',
            f'version = "{pin.version}"',
        ]
        assert pin.hashes
        assert all(value.startswith("sha256:") for value in pin.hashes)


def test_a_uv_lock_and_its_export_are_the_same_stack() -> None:
    lock, exported = real("uv.lock"), real("pylock.toml")
    assert versions(exported) == versions(lock)
    assert versions(exported)["numpy"] == "2.4.6", "2.5.5 is for Python 3.12 and later"
    hashes = [{name: pin.hashes for name, pin in one.pins.items()} for one in (lock, exported)]
    assert hashes[0] == hashes[1]


def test_what_poetry_locks_for_windows_is_left_out_and_what_it_locks_twice_is_kept_apart() -> None:
    lock = real("poetry.lock")
    assert not lock.names("colorama")
    assert "nvidia-cublas" not in versions(lock)
    (both,) = lock.several.values()
    assert [(pin.version, pin.line) for pin in both] == [("13.1.1.3", 58), ("13.10.0.20", 75)]


def test_groups_and_extras_of_a_poetry_lock_are_read_where_only_they_have_the_stack() -> None:
    text = (LOCKS / "groups" / "poetry.lock").read_text(encoding="utf-8")
    assert set(versions(poetry_lock.parse(text, "poetry.lock", everything=False))) == {"six"}
    everything = {"certifi", "idna", "iniconfig", "pluggy", "six", "zipp"}
    assert set(versions(poetry_lock.parse(text, "poetry.lock", everything=True))) == everything
    for name in ("iniconfig", "pluggy"):
        renamed = text.replace(f'name = "{name}"', 'name = "unsloth"')
        assert "unsloth" in versions(read(renamed, "poetry.lock"))


def test_a_poetry_lock_of_before_markers_is_read_whole_but_for_extras() -> None:
    old = "optional = {}\npython-versions = '*'\n"
    assert versions(read(POETRY.format(old.format("false")), "poetry.lock")) == {"torch": "2.0.0"}
    text = POETRY.format(old.format("true"))
    assert versions(poetry_lock.parse(text, "poetry.lock", everything=False)) == {}
    assert versions(poetry_lock.parse(text, "poetry.lock", everything=True)) == {"torch": "2.0.0"}


# --- pylock.toml as the specification has it


def test_extras_and_groups_of_a_pylock_are_read_where_only_they_have_the_stack() -> None:
    lock = read(PYLOCK, "pylock.toml")
    assert versions(lock) == {"always": "1", "unsloth": "2026.1.4", "ruff": "2"}
    without = PYLOCK.replace('"unsloth"', '"trl-x"').replace("unsloth-", "trl_x-")
    assert "trl-x" in versions(read(without, "pylock.toml"))
    in_main = PYLOCK.replace("marker = \"'train' in extras\"\n", "")
    assert versions(read(in_main, "pylock.toml")) == versions(lock)
    assert not read(in_main, "pylock.toml").names("trl")


def test_a_package_of_a_repository_is_unpinned_and_a_hash_of_another_kind_is_none() -> None:
    lock = read(PYLOCK, "pylock.toml")
    assert lock.unpinned == {"trl": 19}
    assert lock.pins["unsloth"].hashes == ()  # type: ignore[index]
    assert lock.pins["always"].line == 8  # type: ignore[index]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('lock-version = "1.0"', 'lock-version = "2.0"'), "pylock version 2.0 is not supported"),
        (('lock-version = "1.0"', ""), "not a pylock.toml: Missing required value in 'lock-version'"),
        (("[[packages]]", "[[packages"), "is not TOML"),
        (("created-by", 'requires-python = ">=3.12"\ncreated-by'), "cannot be installed on Linux x86"),
        (("always-1-py3-none-any", "always-1-cp311-cp311-win_amd64"), "No wheel found.*`uv export"),
        (('"2"', '"2.0.0 or so"'), "Invalid version"),
    ],
)  # fmt: skip
def test_a_pylock_that_cannot_be_installed_says_why(change: tuple[str, str], says: str) -> None:
    assert change[0] in PYLOCK
    with pytest.raises(InputError, match=f"pylock.toml .*{says}"):
        read(PYLOCK.replace(*change), "pylock.toml")


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True), st.integers(0, 99), min_size=1
    ),
    st.permutations(["name", "version", "wheels"]),
)
def test_every_pin_of_a_pylock_is_on_the_line_that_says_it(
    pins: dict[str, int], order: list[str]
) -> None:
    lines = ['lock-version = "1.0"', 'created-by = "a test"']
    for name, version in pins.items():
        file = f"https://example.org/{name}-{version}.0-py3-none-any.whl"
        keys = {
            "name": f'name = "{name}"',
            "version": f'version = "{version}.0"',
            "wheels": f'wheels = [{{ url = "{file}", hashes = {{ sha256 = "00" }} }}]',
        }
        lines += ["", "[[packages]]", *(keys[key] for key in order)]

    found = read("\n".join(lines), "pylock.toml").pins

    assert {str(name): pin.version for name, pin in found.items()} == {
        name: f"{version}.0" for name, version in pins.items()
    }
    for name, pin in found.items():
        assert lines[pin.line - 1] == f'version = "{pins[name]}.0"'
        assert f'name = "{name}"' in lines[pin.line - 3 : pin.line + 2]


# --- poetry.lock that is none


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("version = 2", "poetry.lock is not a poetry.lock: .*not TOML"),
        ('groups = "main"', r"poetry.lock is not a poetry.lock: .*package.0.groups"),
        ('markers = "os is good"', "poetry.lock:3: torch has a marker that is none"),
    ],
)
def test_a_broken_poetry_lock_is_an_input_error(more: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read(POETRY.format(more), "poetry.lock")


def test_a_package_that_poetry_takes_from_a_repository_is_unpinned() -> None:
    source = '\n[package.source]\ntype = "{}"\n'
    git, index = (read(POETRY.format(source.format(t)), "poetry.lock") for t in ("git", "legacy"))
    assert (versions(git), git.unpinned) == ({}, {"torch": 3})
    assert (versions(index), index.unpinned) == ({"torch": "2.0.0"}, {})


# --- their stack


def test_of_two_versions_the_bounds_of_the_stack_choose(registry: FakeUv) -> None:
    registry.sets["unsloth==2026.10.8"] = ["trl==1.15.0", "nvidia-cublas==13.1.1.3"]
    lock = real("poetry.lock")

    stack = keep_stack(lock)

    assert stack.pins["nvidia-cublas"].line == 58
    assert stack.filled_in == ()
    (pin, other) = lock.several["nvidia-cublas"]  # type: ignore[index]
    kept = kept_locks.find(stack.release).lock
    assert pin.hashes[0].removeprefix("sha256:") in kept
    assert other.hashes[0].removeprefix("sha256:") not in kept


def test_two_versions_that_the_stack_takes_neither_of_are_an_error(registry: FakeUv) -> None:
    registry.sets["unsloth==2026.10.8"] = ["trl==1.15.0", "nvidia-cublas==13.5"]
    says = r"nvidia-cublas at 13.1.1.3 \(line 58\) and 13.10.0.20 \(line 75\) for Linux"
    with pytest.raises(InputError, match=says):
        keep_stack(real("poetry.lock"))


def test_two_versions_of_unsloth_are_an_error(registry: FakeUv) -> None:
    text = POETRY.format("").replace("torch", "unsloth")
    twice = text.partition("[metadata]")[0] + text.replace("2.0.0", "2.1.0")
    with pytest.raises(InputError, match=r"unsloth at 2.0.0 \(line 3\) and 2.1.0"):
        keep_stack(read(twice, "poetry.lock"))


@pytest.mark.parametrize("name", NAMES)
def test_the_annotation_is_on_the_line_that_moved(
    registry: FakeUv, tmp_path: Path, name: str
) -> None:
    registry.sets["unsloth==2026.10.8"] = ["trl==1.15.0", "certifi==2026.10.19.post1"]
    old, new = tmp_path / "old" / name, tmp_path / "new" / name
    text = (LOCKS / name).read_text(encoding="utf-8")
    # The version of the package and that in the names of its files.
    moved = text.replace('name = "trl"\nversion = "1.15.0"', 'name = "trl"\nversion = "1.14.0"')
    moved = moved.replace("trl-1.15.0", "trl-1.14.0")
    for path, content in ((old, text), (new, moved)):
        path.parent.mkdir()
        path.write_text(content, encoding="utf-8")

    found = updates.of_files(old, new)

    (command,) = annotations.commands(found, Answer(StepVerdict.NOT_SAFE, ()))
    line = moved.splitlines().index('version = "1.14.0"') + 1
    assert command.startswith(f"::error file={new},line={line},title=trl 1.15.0 -> 1.14.0::")


def test_lock_files_of_every_format_are_known_by_name() -> None:
    for name in ("pylock.toml", "train/pylock.gpu.toml", "poetry.lock"):
        assert is_lock_file(name)
    for name in ("pylock.a.b.toml.txt", "Cargo.lock", "poetry.toml"):
        assert not is_lock_file(name)
