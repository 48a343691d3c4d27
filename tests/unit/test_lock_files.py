from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InputError
from harness.lock_files import git_files, is_lock_file, read
from harness.lock_files.pins import LockFile
from harness.lock_files.stack_lock import keep_stack
from harness.stacks import kept_locks
from harness.stacks.stack import load_stack, lock_path
from tests.unit.dependency_updates import git
from tests.unit.fake_uv import FakeUv, replace_uv

UV_LOCK = Path(__file__).parent / "lock_files" / "uv.lock"
REQUIREMENTS = """\
# by pip-compile
--extra-index-url https://example.org/simple
unsloth==2026.1.4 \\
    --hash=sha256:bb \\
    --hash=sha256:aa
    # via -r requirements.in
Transformers==5.0.0 ; python_version < "3.12"  # a comment
transformers==6.0.0 ; python_version >= "3.12"
pywin32==311 ; sys_platform == "win32"
torch==2.9.1+cu128
requests>=2
-r other.txt
./my-package
"""


def versions(lock: LockFile) -> dict[str, str]:
    return {str(name): pin.version for name, pin in lock.pins.items()}


def line_of(text: str, start: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if line.startswith(start))


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeUv:
    load_stack.cache_clear()
    return replace_uv(monkeypatch, tmp_path)


def test_exact_versions_that_hold_on_linux_are_pins_with_their_lines() -> None:
    lock = read(REQUIREMENTS, "requirements.txt")

    assert versions(lock) == {
        "unsloth": "2026.1.4",
        "transformers": "5.0.0",
        "torch": "2.9.1+cu128",
    }
    assert {str(name): pin.line for name, pin in lock.pins.items()} == {
        "unsloth": 3,
        "transformers": 7,
        "torch": 10,
    }
    assert lock.pins["unsloth"].hashes == ("sha256:aa", "sha256:bb")  # type: ignore[index]
    assert lock.unpinned == {"requests": 11}
    assert lock.follows == ("requirements.txt:12: -r other.txt",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a==1\na==2\n", "requirements.txt:2: a==2, but line 1 has 1"),
        ("ok==1\n<<<<<<< HEAD\n", "requirements.txt:2: .*is no requirement"),
    ],
)
def test_what_cannot_be_read_is_named_by_line(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read(text, "requirements.txt")


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True), st.integers(0, 99), min_size=1
    ),
    st.lists(st.sampled_from(["", "# note", "--pre"]), max_size=3),
)
def test_every_pin_is_on_the_line_that_says_it(pins: dict[str, int], noise: list[str]) -> None:
    lines = [
        *noise,
        *(f"{name}=={version} \\\n  --hash=sha256:00" for name, version in pins.items()),
    ]
    text = "\n".join(lines)

    for name, pin in read(text, "requirements.txt").pins.items():
        assert text.splitlines()[pin.line - 1].startswith(f"{name}=={pin.version}")


def test_a_real_uv_lock_is_read_for_this_python_and_platform() -> None:
    text = UV_LOCK.read_text(encoding="utf-8")

    lock = read(text, "sub/uv.lock")

    assert versions(lock)["unsloth"] == "2026.10.8"
    assert versions(lock)["numpy"] == "2.4.6", "2.5.5 is for Python 3.12 and later"
    assert "tuner" not in lock.pins
    pin = lock.pins["unsloth"]  # type: ignore[index]
    assert text.splitlines()[pin.line - 1] == 'version = "2026.10.8"'
    assert text.splitlines()[pin.line - 2] == 'name = "unsloth"'
    assert all(value.startswith("sha256:") for value in pin.hashes)
    assert pin.hashes


def test_a_group_of_a_uv_lock_is_read_where_only_it_has_the_stack() -> None:
    whole = UV_LOCK.read_text(encoding="utf-8")
    text = whole.replace('    { name = "unsloth" },\n', "", 1)
    text = text.replace("dev = [\n", 'dev = [\n    { name = "unsloth" },\n')
    assert text.count('{ name = "unsloth" }') == whole.count('{ name = "unsloth" }')
    assert "unsloth" in versions(read(text, "uv.lock"))


@pytest.mark.parametrize("text", ["version = ", "version = 1\n", "version = 1\n[[package]]\n"])
def test_a_broken_uv_lock_is_an_input_error(text: str) -> None:
    with pytest.raises(InputError, match=r"uv\.lock"):
        read(text, "uv.lock")


def test_lock_files_are_known_by_name() -> None:
    assert is_lock_file("uv.lock")
    assert is_lock_file("train/requirements-gpu.txt")
    assert is_lock_file("requirements/base.txt")
    assert not is_lock_file("docs/notes.txt")
    assert not is_lock_file("pyproject.toml")


def test_the_stack_is_what_unsloth_needs_with_the_hashes_of_the_file(registry: FakeUv) -> None:
    registry.sets["unsloth==2026.1.4"] = ["transformers==5.0.0", "torch==2.9.1", "certifi==1"]
    text = "unsloth==2026.1.4 --hash=sha256:aa\ntransformers==5.0.0\ntorch==2.9.1+cu128\nruff==1\n"

    stack = keep_stack(read(text, "requirements.txt"))

    kept = kept_locks.find(stack.release)
    assert stack.versions == {
        "unsloth": "2026.1.4",
        "transformers": "5.0.0",
        "torch": "2.9.1+cu128",
        "certifi": "1",
    }
    assert stack.filled_in == ("certifi",)
    assert "ruff" not in stack.pins
    assert "unsloth==2026.1.4 \\\n    --hash=sha256:aa\n" in kept.lock
    assert "torch==2.9.1 \\" in kept.lock
    assert kept.said == (
        "torch 2.9.1+cu128 taken from the registry as 2.9.1",
        "the lock file leaves open certifi: resolved when it was read",
    )


def test_versions_that_break_bounds_are_taken_and_said(
    registry: FakeUv,
) -> None:
    registry.unsolvable.add("unsloth==2026.1.4")
    registry.uploads["certifi==1"] = "2026-01-10T00:00:00Z"
    text = "unsloth==2026.1.4\ntransformers==5.0.0\ncertifi==1\n"

    stack = keep_stack(read(text, "requirements.txt"))

    (said, *_) = kept_locks.find(stack.release).said
    assert said.endswith("bounds that its packages declare: unsloth depends on certifi>=99")
    assert stack.versions["transformers"] == "5.0.0"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("trl==1\n", "has no unsloth"),
        ("trl==1\n-r base.txt\n", r"does not follow requirements.txt:2: -r base.txt: name that"),
        ("unsloth>=2026\n", r"no exact version of unsloth \(requirements.txt:1\). Pin every"),
        ("unsloth==2026.1.4\n\ntorch>2\n", r"no exact version of torch \(requirements.txt:3\)"),
    ],
)
def test_a_file_without_an_exact_stack_says_what_to_do(
    registry: FakeUv, text: str, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        keep_stack(read(text, "requirements.txt"))


def test_a_shipped_lock_shares_its_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from harness.stacks.environments import folder_of
    from harness.stacks.kept_locks import KeptLock, keep

    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    lock = lock_path("2026.10.9").read_text(encoding="utf-8")
    release = keep(KeptLock(version="2026.10.9", python="3.11", lock=lock))

    shipped = load_stack("unsloth-2026.10.9", "cpu")
    assert folder_of(load_stack(f"unsloth-{release}", "cpu")) == folder_of(shipped)


def test_git_gives_the_changed_lock_files_and_their_old_text(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no commit 'main'"):
        git_files.merge_base("main")
    git(tmp_path, "init", "-b", "main")
    (tmp_path / "uv.lock").write_text("old\n")
    (tmp_path / "README.md").write_text("old\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "1")
    for name in ("uv.lock", "README.md"):
        (tmp_path / name).write_text("new\n")

    commit = git_files.merge_base("main")

    assert git_files.changed_lock_files(commit) == ["uv.lock"]
    assert git_files.text_at(commit, "uv.lock") == "old\n"
    with pytest.raises(InputError, match=r"requirements.txt is not in"):
        git_files.text_at(commit, "requirements.txt")
