"""An emulated GPU: the release's own GPU code path, on CPU tensors or on a bigger GPU.

The library sees a card of a given profile and decides as it would there: dtypes, FORCE_FLOAT32, its
trainer, its rewritten sources. The arithmetic is that of the CPU, or of the GPU that is there. What is
real in such a run, part by part: docs/emulation.md.
"""

from .profile import Profile

__all__ = ["Profile", "install", "present"]


def install(profile: Profile) -> list[str]:
    """Show `profile` to everything that is imported from now on; tensors live on the CPU.

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


def present(profile: Profile) -> list[str]:
    """Show `profile` over the real, bigger GPU of this machine, which computes.

    Once in a process, before the library under test and torch are imported.

    Returns:
        What stands in for parts of the library under test: nothing, here they all run.
    """
    from . import host, presented

    host.guard_ldconfig()
    presented.show(profile)
    return []
