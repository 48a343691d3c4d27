"""An emulated GPU: the release's own GPU code path, on CPU tensors.

The library sees a card of a given profile and decides as it would there: dtypes, FORCE_FLOAT32, its
trainer, its rewritten sources. The arithmetic is the CPU's. Speed, memory, compiled and CUDA kernels
are not emulated; docs/hardware.md says what is real in such a run.
"""

from .profile import Profile

__all__ = ["Profile", "install"]


def install(profile: Profile) -> list[str]:
    """Present `profile` to everything that is imported from now on.

    Once in a process, before the library under test and torch are imported.

    Returns:
        The parts of the library under test that something stands in for, each with its reason.
    """
    from . import host

    host.prepare()
    import torch

    from . import amp, devices, matmul, redirect, replacements, runtime, triton_interpreter

    # First: these packages settle on their CPU code as long as there is no GPU to be seen.
    replaced = replacements.apply_all()
    devices.answer_for(profile)
    runtime.stand_in()
    amp.follow_cuda()
    matmul.accumulate_in_float32()
    triton_interpreter.mend()
    redirect.redirect()
    # For whoever must know that this torch.cuda is nobody's (phases.py).
    torch.cuda._emulated = True
    return replaced
