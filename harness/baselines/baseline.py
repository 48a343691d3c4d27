"""Approved figures of an experiment: what throughput, start-up and memory are compared with.

A baseline holds the keys that make a run comparable, the figures of each approved repeat, per figure
the band in which one further run of the same experiment falls, and who approved it why. It is of one
machine, stack family, hardware, dtype and recipe; the release is what the comparison is about.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from harness.baselines.bands import MIN_REPEATS, Band, close, derive_bands
from harness.errors import BaselineError
from harness.figures import FAMILIES, all_figures
from harness.record import Record
from harness.reference_ratio import Place, ratios, reference_of


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Comparable(_Data):
    """The keys that must be equal before two speeds or two memory peaks may be compared.

    The release is not among them: it is what the comparison is about.
    """

    recipe_digest: str
    dtype_request: str
    stack_family: str
    hardware: str
    hardware_kind: str
    device: str
    cores: int | None = None
    driver: str | None = None
    max_sm_clock_mhz: int | None = None
    threads: int
    parallel_cells: int
    preloaded: bool = False

    @classmethod
    def of(cls, record: Record) -> Self:
        """Read the keys from a record."""
        hardware = record.hardware
        return cls(
            recipe_digest=record.recipe_digest,
            dtype_request=record.dtype_request,
            stack_family=record.stack.family,
            hardware=hardware.name,
            hardware_kind=hardware.kind,
            device=hardware.device,
            cores=hardware.cores,
            driver=hardware.driver,
            max_sm_clock_mhz=hardware.max_sm_clock_mhz,
            threads=hardware.threads,
            parallel_cells=hardware.parallel_cells,
            preloaded=record.preloaded,
        )

    @property
    def machine(self) -> str:
        """The machine as a folder name: `amd-epyc-2-cores`, `nvidia-h100-80gb-hbm3`.

        A GPU's driver and clock limit are not in it, so that another driver is INCOMPARABLE by name.
        """
        device = self.device if self.driver else f"{self.device} {self.cores} cores"
        return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")

    def differences(self, other: "Comparable") -> dict[str, tuple[Any, Any]]:
        """Return key -> (value here, value there) for every key that differs."""
        here, there = self.model_dump(), other.model_dump()
        return {key: (here[key], there[key]) for key in here if here[key] != there[key]}


class Run(_Data):
    """The figures of one approved repeat."""

    started_at: str
    repeat: int
    release: str
    lock_digest: str
    harness_version: str
    eval_losses: tuple[float, ...]
    figures: dict[str, float]
    """Rates per second (`tokens_per_s`), seconds (`eval_s`) and bytes (`peak_rss.train`), as in
    `harness.figures`."""


class Approval(_Data):
    """Why these runs are what others are compared with."""

    reason: str
    commit: str
    """Of the harness that ran them, its tree clean."""
    approved_at: str
    former: str = ""
    """Release, commit and day of the baseline that this one replaces."""
    differences: dict[str, float] = {}
    """Figure -> center / former center - 1, signed, where both have a band."""
    incomparable: tuple[str, ...] = ()
    """Keys in which the former baseline differs; there are no differences then."""


class Baseline(_Data):
    """Approved repeats of one experiment and the band of each figure that all of them have."""

    schema_version: Literal[2] = 2
    experiment: str
    """The cell with the stack's family in place of its release: `unsloth/cpu/float32/mild`."""
    cell_id: str
    key: str
    approval: Approval | None = None
    """None for runs that only serve those beside them."""
    comparable: Comparable
    runs: tuple[Run, ...]
    bands: dict[str, Band]

    @property
    def release(self) -> str:
        """The release that was approved."""
        return self.runs[0].release if self.runs else ""

    @model_validator(mode="after")
    def _bands_follow_from_runs(self) -> Self:
        expected = derive_bands([run.figures for run in self.runs])
        for name in expected.keys() | self.bands.keys():
            stored, derived = self.bands.get(name), expected.get(name)
            if stored is None or derived is None or not close(stored, derived):
                raise ValueError(
                    f"the band of {name} ({stored}) is not that of its runs ({derived})"
                )
        return self


def experiment_of(cell_id: str, family: str) -> str:
    """Return a cell's id with the stack's family in place of its release."""
    return "/".join([family, *cell_id.split("/")[1:]])


def from_records(
    records: Sequence[Record], beside: Mapping[Place, Record] | None = None
) -> Baseline:
    """Make a baseline of repeats of one experiment.

    Args:
        records: The repeats.
        beside: Runs of the reference stack in the same session, as `reference_ratio.references` gives
            them; each repeat is divided by the one that ran beside it.

    Raises:
        BaselineError: A record is faulted, did not complete or has a non-finite eval_loss; there
            are fewer than three repeats; or they are not repeats of one experiment.
    """
    for record in records:
        _refuse_unfit(record)
    if len({(record.repeat, record.started_at) for record in records}) < MIN_REPEATS:
        raise BaselineError(
            f"a baseline needs {MIN_REPEATS} different repeats, got {len(records)} record(s). "
            "Run the cell again with more repeats."
        )
    first = records[0]
    for record in records[1:]:
        if record.key != first.key or record.cell_id != first.cell_id:
            raise BaselineError(
                f"these are not repeats of one experiment: {first.cell_id} (key {first.key}) and "
                f"{record.cell_id} (key {record.key}). Give records of one cell and one stack."
            )
        for key, (here, there) in Comparable.of(first).differences(Comparable.of(record)).items():
            raise BaselineError(
                f"{first.cell_id}: the repeats differ in {key}: {here!r} and {there!r}. Run all of "
                "them on one machine in one way."
            )
    runs = tuple(
        Run(
            started_at=record.started_at,
            repeat=record.repeat,
            release=record.stack.release,
            lock_digest=record.stack.lock_digest,
            harness_version=record.harness_version,
            eval_losses=tuple(record.eval_losses),
            figures={**all_figures(record), **_over_reference(record, beside or {})},
        )
        for record in records
    )
    return Baseline(
        experiment=experiment_of(first.cell_id, first.stack.family),
        cell_id=first.cell_id,
        key=first.key,
        comparable=Comparable.of(first),
        runs=runs,
        bands=derive_bands([run.figures for run in runs]),
    )


def _over_reference(record: Record, beside: Mapping[Place, Record]) -> dict[str, float]:
    reference = reference_of(record, beside)
    return {name: ratio for of in FAMILIES for name, ratio in ratios(record, reference, of).items()}


def _refuse_unfit(record: Record) -> None:
    name = f"{record.cell_id} repeat {record.repeat}"
    if record.fault is not None:
        raise BaselineError(f"{name} ran with the fault {record.fault!r} injected. Run it without.")
    if record.extras:
        raise BaselineError(
            f"{name} ran with the extras {', '.join(record.extras)}, which take time. Run it without."
        )
    if record.preloaded:
        raise BaselineError(
            f"{name} was forked from a process that had imported its stack. Run it in a fresh one."
        )
    if record.status != "COMPLETED":
        raise BaselineError(f"{name} ended as {record.status}. Only completed runs are approved.")
    if not record.eval_losses or not all(map(math.isfinite, record.eval_losses)):
        raise BaselineError(
            f"{name} has eval_loss {record.eval_losses}: missing or not finite. "
            "See its verdicts first; a broken run is not a reference."
        )
