from threading import Event

import pytest

from harness.bisect.prefetch import Prefetch
from harness.errors import StackBuildError


def test_each_is_built_once_in_order() -> None:
    built: list[str] = []
    done = Event()

    def build(name: str) -> None:
        built.append(name)
        if name == "c":
            done.set()

    with Prefetch() as prefetch:
        prefetch.start(["a", "b"], build)
        prefetch.start(["b", "c"], build)
        assert done.wait(5)
    assert built == ["a", "b", "c"]


def test_what_fails_there_is_told_where_it_is_needed() -> None:
    after = Event()

    def build(name: str) -> None:
        if name == "broken":
            raise StackBuildError("no network")
        after.set()

    with Prefetch() as prefetch:
        prefetch.start(["broken", "sound"], build)
        assert after.wait(5)


def test_an_interrupted_search_starts_no_other_build() -> None:
    started, go_on = Event(), Event()
    built: list[str] = []

    def build(name: str) -> None:
        built.append(name)
        started.set()
        go_on.wait(5)

    with pytest.raises(KeyboardInterrupt), Prefetch() as prefetch:  # noqa: PT012
        prefetch.start(["first", "second"], build)
        assert started.wait(5)
        raise KeyboardInterrupt
    go_on.set()
    assert built == ["first"]
