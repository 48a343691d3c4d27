"""Memory of this very process."""

import ctypes
import sys
from types import SimpleNamespace

import pytest

from harness.payload import process_memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what proc and glibc tell")

SIZE = 40 * 2**20


def test_bytes_in_use_follow_what_is_handed_out_and_freed() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    before = process_memory.in_use()
    assert before is not None
    block = libc.malloc(SIZE)
    during = process_memory.in_use()
    libc.free(block)
    after = process_memory.in_use()

    assert during == pytest.approx(before + SIZE, abs=2**20)
    assert after == pytest.approx(before, abs=2**20)


def test_a_peak_is_since_the_last_reset() -> None:
    block = bytearray(b"x" * SIZE)
    high = process_memory.peaks()["peak_rss"]
    del block
    process_memory.reset_peaks()
    low = process_memory.peaks()["peak_rss"]

    assert high is not None
    assert low is not None
    assert low < high - SIZE // 2


def test_without_torch_there_is_no_gpu() -> None:
    assert "torch" not in sys.modules
    assert process_memory.real_cuda() is None


def test_a_gpu_that_is_in_use_is_measured_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    cuda = SimpleNamespace(
        is_initialized=lambda: True,
        memory_allocated=lambda: 5,
        max_memory_allocated=lambda: 7,
        max_memory_reserved=lambda: 11,
        reset_peak_memory_stats=lambda: calls.append("reset"),
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    process_memory.reset_peaks()

    assert calls == ["reset"]
    assert process_memory.in_use() == 5
    assert process_memory.peaks() | {"peak_rss": 0} == {
        "peak_rss": 0,
        "peak_gpu_allocated": 7,
        "peak_gpu_reserved": 11,
    }


def test_an_emulated_gpu_has_no_memory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = SimpleNamespace(_emulated=True, is_initialized=lambda: True)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))

    assert process_memory.real_cuda() is None
    assert set(process_memory.peaks()) == {"peak_rss"}
