"""What this hardware can do with a Gemma-3 fine-tune, said before any training."""

from dataclasses import replace
from pathlib import Path

from harness.doctor.memory_advice import Budget, suggest
from harness.doctor.memory_model import Attention, Run, estimate
from harness.doctor.precision_advice import recommend
from harness.doctor.report import Diagnosis, Subject, as_dict, render
from harness.errors import ConfigError
from harness.hardware import Machine, profile, resolve
from harness.models.gemma3 import architecture
from harness.profiles import GIB, Profile, is_shown

__all__ = ["Diagnosis", "as_dict", "diagnose", "render"]


def diagnose(
    machine: Machine,
    *,
    hardware: str | None = None,
    model: str | Path = "4b",
    batch_size: int = 2,
    seq_len: int = 2048,
    load_in_4bit: bool = False,
    gradient_checkpointing: bool = True,
    lora_r: int = 8,
    attention: Attention = "sdpa",
) -> Diagnosis:
    """Say what the hardware can do, which precision to use, and whether the fine-tune fits.

    Args:
        machine: This machine.
        hardware: A slug, in this machine or not; None takes the first GPU, else the CPU.
        model: A published size (`4b`) or a checkpoint folder.
        batch_size: Rows of one forward pass.
        seq_len: Tokens a row.
        load_in_4bit: NF4 linear layers.
        gradient_checkpointing: Recompute each layer in the backward pass.
        lora_r: LoRA rank on all seven matrices of every layer.
        attention: `eager` also keeps the attention scores.

    Raises:
        HardwareError: Unknown slug.
        InputError: Unknown model, or a folder whose config.json cannot be used.
        ConfigError: A size below 1.
    """
    for name, value in (("batch_size", batch_size), ("seq_len", seq_len), ("lora_r", lora_r)):
        if value < 1:
            raise ConfigError(f"{name} = {value}: must be at least 1.")
    subject, shapes = examine(machine, hardware), architecture(model)
    run = Run(batch_size, seq_len, load_in_4bit, gradient_checkpointing, lora_r, attention)
    precision = recommend(subject.device, subject.bf16)
    memory = estimate(shapes, run, precision.widths)
    draft = Diagnosis(subject, precision, shapes, run, memory, ())
    if draft.fits:
        return draft
    budget = Budget(subject.slug, shapes, run, precision.widths, subject.available_bytes)
    return replace(draft, suggestions=tuple(suggest(budget)))


def examine(machine: Machine, hardware: str | None) -> Subject:
    """Describe the hardware a slug stands for, present or not.

    Raises:
        HardwareError: Unknown slug.
    """
    slug = hardware or (machine.gpus[0].slug if machine.gpus else "cpu")
    if slug == "cpu":
        return _cpu(machine)
    if is_shown(slug):
        target = resolve(slug, machine)
        where = target.device if target.on_gpu else "the CPU"
        note = f"emulation trains on {where}: the figures below are for the real card"
        return _absent(target.profile, machine, (note,))
    for gpu in machine.gpus:
        if gpu.slug == slug:
            held = gpu.memory_bytes - gpu.memory_free_bytes
            others = ", ".join(str(process.pid) for process in gpu.foreign_processes)
            notes = (f"{held / GIB:.2f} GiB are held, processes: {others}",) if others else ()
            return Subject(
                slug=slug,
                name=gpu.name,
                device="gpu",
                present=True,
                bf16=gpu.profile.bf16,
                fp16=True,
                memory_bytes=gpu.memory_bytes,
                available_bytes=gpu.memory_free_bytes,
                cores=machine.cores,
                compute_capability=gpu.compute_capability,
                notes=notes,
            )
    return _absent(
        profile(slug), machine, ("not in this machine: figures of fixtures/hardware.toml",)
    )


def _cpu(machine: Machine) -> Subject:
    return Subject(
        slug="cpu",
        name=machine.cpu.model,
        device="cpu",
        present=True,
        bf16=machine.cpu.bf16,
        fp16=False,
        memory_bytes=machine.memory_bytes,
        available_bytes=machine.memory_bytes,
        cores=machine.cores,
        compute_capability=None,
    )


def _absent(card: Profile, machine: Machine, notes: tuple[str, ...]) -> Subject:
    memory = card.memory_bytes
    assert memory is not None
    return Subject(
        slug=card.slug,
        name=card.name,
        device="gpu",
        present=False,
        bf16=card.bf16,
        fp16=True,
        memory_bytes=memory,
        available_bytes=memory,
        cores=machine.cores,
        compute_capability=card.compute_capability,
        notes=notes,
    )
