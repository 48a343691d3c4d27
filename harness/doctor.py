"""What this hardware can do with a Gemma-3 fine-tune, said before any training."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from harness.errors import ConfigError
from harness.gemma3 import Architecture, architecture, published
from harness.hardware import Machine, profile, resolve
from harness.memory_model import Attention, Estimate, Run, Widths, estimate
from harness.profiles import EMULATED, GIB, Profile, load_profiles

_SEQ_STEP = 64


@dataclass(frozen=True)
class Subject:
    """The hardware the question is about.

    Attributes:
        present: Whether it is in this machine; else the figures are the profile's.
        memory_bytes: Total; `available_bytes` is less where other processes hold GPU memory.
        fp16: Whether it computes float16 in hardware; Gemma-3 must not use it either way.
    """

    slug: str
    name: str
    device: Literal["cpu", "gpu"]
    present: bool
    bf16: bool
    fp16: bool
    memory_bytes: int
    available_bytes: int
    cores: int
    compute_capability: str | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recommendation:
    """The precision to train Gemma-3 in on this hardware, and why.

    Attributes:
        request: Name of the dtype request.
        caution: What is lost by it; empty when nothing is.
    """

    request: str
    weights: str
    activations: str
    autocast: str
    why: str
    caution: str
    widths: Widths


@dataclass(frozen=True)
class Suggestion:
    """A change after which the fine-tune is estimated to fit."""

    change: str
    total_bytes: int
    available_bytes: int


@dataclass(frozen=True)
class Diagnosis:
    """The answer: hardware, precision, memory, and what to change."""

    subject: Subject
    precision: Recommendation
    model: Architecture
    run: Run
    memory: Estimate
    suggestions: tuple[Suggestion, ...]

    @property
    def fits(self) -> bool:
        """Whether the estimated peak is within the memory that is available."""
        return self.memory.total_bytes <= self.subject.available_bytes


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
    return draft if draft.fits else replace(draft, suggestions=tuple(_suggest(draft)))


def examine(machine: Machine, hardware: str | None) -> Subject:
    """Describe the hardware a slug stands for, present or not.

    Raises:
        HardwareError: Unknown slug.
    """
    slug = hardware or (machine.gpus[0].slug if machine.gpus else "cpu")
    if slug == "cpu":
        return _cpu(machine)
    if slug.endswith(EMULATED):
        card = resolve(slug, machine).profile
        note = "emulation trains on the CPU: the figures below are for the real card"
        return _absent(card, machine, (note,))
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


def recommend(device: Literal["cpu", "gpu"], bf16: bool) -> Recommendation:
    """Return the precision for Gemma-3; each is one that fixtures/precision.toml lets pass."""
    on_gpu = device == "gpu"
    if bf16:
        return Recommendation(
            request="bfloat16",
            weights="bfloat16",
            activations="bfloat16",
            autocast="bfloat16",
            why="bfloat16 is native here and has float32's range, which Gemma-3's activations need",
            caution="",
            widths=Widths(2, 2, on_gpu),
        )
    if on_gpu:
        return Recommendation(
            request="auto",
            weights="float16",
            activations="float32",
            autocast="off",
            why="no bfloat16 below compute capability 8.0, and under float16 autocast Gemma-3's "
            "activations (8e5) pass 65504: leave the dtype to Unsloth, which sets "
            "UNSLOTH_FORCE_FLOAT32=1 (float16 weights, float32 residual stream, autocast off)",
            caution="each layer's branches are still float16 and are clamped at 65504, so a model "
            "that passes it can learn less than in bfloat16; a card with bfloat16 is the safe choice",
            # The residual stream and the gated MLP are float32 in this mode.
            widths=Widths(2, 4, on_gpu),
        )
    return Recommendation(
        request="float32",
        weights="float32",
        activations="float32",
        autocast="off",
        why="this CPU has no bfloat16 instructions; emulated bfloat16 is right but slow",
        caution="float32 takes twice the memory of bfloat16",
        widths=Widths(4, 4, on_gpu),
    )


def _suggest(draft: Diagnosis) -> Iterator[Suggestion]:
    """Yield changes that make it fit, each recomputed: one change if one will do, else several."""
    single = list(_single_changes(draft))
    yield from single or _combined_changes(draft)
    yield from _other_cards(draft)
    yield from _smaller_model(draft)


def _single_changes(draft: Diagnosis) -> Iterator[Suggestion]:
    run = draft.run
    if not run.gradient_checkpointing:
        yield from _if_fits(draft, replace(run, gradient_checkpointing=True))
    if not run.load_in_4bit:
        yield from _if_fits(draft, replace(run, load_in_4bit=True))
    yield from _largest_batch(draft, run)
    yield from _longest_sequence(draft, run)


def _combined_changes(draft: Diagnosis) -> Iterator[Suggestion]:
    saving = replace(draft.run, gradient_checkpointing=True)
    for run in dict.fromkeys([saving, replace(saving, load_in_4bit=True)]):
        found = [
            *_if_fits(draft, run),
            *_largest_batch(draft, run),
            *_longest_sequence(draft, run),
            *_longest_sequence(draft, replace(run, batch_size=1)),
        ]
        if found:
            yield found[0]
            return


def _largest_batch(draft: Diagnosis, run: Run) -> Iterator[Suggestion]:
    for batch in range(run.batch_size - 1, 0, -1):
        if found := list(_if_fits(draft, replace(run, batch_size=batch))):
            yield from found
            return


def _longest_sequence(draft: Diagnosis, run: Run) -> Iterator[Suggestion]:
    top = (run.seq_len - 1) // _SEQ_STEP * _SEQ_STEP
    for length in range(top, 0, -_SEQ_STEP):
        if found := list(_if_fits(draft, replace(run, seq_len=length))):
            yield from found
            return


def _if_fits(draft: Diagnosis, run: Run) -> Iterator[Suggestion]:
    total = estimate(draft.model, run, draft.precision.widths).total_bytes
    available = draft.subject.available_bytes
    if run != draft.run and total <= available:
        yield Suggestion(_difference(draft.run, run), total, available)


def _difference(before: Run, after: Run) -> str:
    changes = []
    if after.gradient_checkpointing and not before.gradient_checkpointing:
        changes.append("turn gradient checkpointing on")
    if after.load_in_4bit and not before.load_in_4bit:
        changes.append("load in 4 bit (dtype nf4)")
    if after.batch_size != before.batch_size:
        changes.append(
            f"batch size {before.batch_size} -> {after.batch_size} "
            "(keep the effective batch with gradient accumulation)"
        )
    if after.seq_len != before.seq_len:
        changes.append(f"sequence length {before.seq_len} -> {after.seq_len}")
    return ", ".join(changes)


def _other_cards(draft: Diagnosis) -> Iterator[Suggestion]:
    total = estimate(draft.model, draft.run, recommend("gpu", True).widths).total_bytes
    cards = [
        (memory, card)
        for card in load_profiles().values()
        if card.bf16 and (memory := card.memory_bytes) is not None and memory >= total
    ]
    if cards:
        memory, card = min(cards, key=lambda pair: pair[0])
        yield Suggestion(f"use a card with bfloat16: {card.slug} or larger", total, memory)


def _smaller_model(draft: Diagnosis) -> Iterator[Suggestion]:
    smaller = [a for a in published().values() if a.parameters < draft.model.parameters]
    for shapes in sorted(smaller, key=lambda a: -a.parameters):
        total = estimate(shapes, draft.run, draft.precision.widths).total_bytes
        if total <= draft.subject.available_bytes:
            yield Suggestion(f"train gemma-3-{shapes.name}", total, draft.subject.available_bytes)
            return
