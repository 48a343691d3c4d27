"""When training is over: save as a user does, then let fresh processes find out what that is worth.

Every run saves its adapter; the rest only where the job's extras ask for it. The fresh processes are
children of this one, in its session, one at a time; what becomes of them is data (`afterwards` events),
never this run's failure.
"""

import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .backend import Backend, Loaded
from .events import EventLog, failure_of
from .job import Job
from .phases import Phases

KINDS = ("reload", "merge", "resume")


@dataclass(frozen=True)
class Saved:
    """What one fresh process starts from, and the call that made it."""

    kind: str
    folder: str
    how: str


class Saver:
    """Saves the adapter, the merged checkpoint, and picks the checkpoint to resume from."""

    def __init__(self, job: Job, loaded: Loaded) -> None:
        self._job = job
        self._loaded = loaded
        self._kinds = [kind for kind in KINDS if kind in job.extras]
        if self._kinds:
            from .evidence import saved

            # Trainers and saving change a tokenizer in place.
            self._tokenizer = saved.tokenizer_figures(loaded.tokenizer)

    def save(self, backend: Backend, trainer: Any, events: EventLog, phases: Phases) -> list[Saved]:
        """Save the adapter, and what else the asked kinds start from.

        The model in memory may be of no use after it.
        """
        if not self._kinds:
            with phases.phase("save"):
                self._save_adapter()
            return []
        # Merging last: it may take the adapter out of the model.
        makers: dict[str, Callable[[], Saved]] = {
            "reload": lambda: self._adapter(trainer, events),
            "resume": lambda: self._checkpoint(trainer),
            "merge": lambda: self._merged(backend),
        }
        found = {}
        with phases.phase("save"):
            for kind, make in makers.items():
                if kind not in self._kinds:
                    continue
                try:
                    found[kind] = make()
                except Exception as error:  # noqa: BLE001 - it is what was to be found out
                    events.emit("afterwards", kind=kind, failure=failure_of(error, "save"))
        return [found[kind] for kind in self._kinds if kind in found]

    def _folder(self, suffix: str) -> str:
        # Old releases decide on float16 by the architecture in the path.
        model = Path(self._job.model_dir).name
        return f"{self._job.work_dir}/saved/{model}-{suffix}"

    def _adapter(self, trainer: Any, events: EventLog) -> Saved:
        from .evidence import saved

        memory = saved.adapter(self._loaded.model)
        folder = self._save_adapter()
        events.emit(
            "afterwards",
            kind="trained",
            how="save_pretrained",
            tokenizer=self._tokenizer,
            adapter=saved.difference(saved.saved_adapter(folder), memory),
            adapter_digest=saved.digest(memory),
            **saved.dtypes(self._loaded.model),
        )
        return Saved("reload", folder, "save_pretrained")

    def _save_adapter(self) -> str:
        folder = self._folder("lora")
        self._loaded.model.save_pretrained(folder)
        (self._loaded.processor or self._loaded.tokenizer).save_pretrained(folder)
        return folder

    def _checkpoint(self, trainer: Any) -> Saved:
        checkpoints = by_step(Path(trainer.args.output_dir))
        return Saved("resume", str(checkpoints[1]), "train(resume_from_checkpoint=...)")

    def _merged(self, backend: Backend) -> Saved:
        folder = self._folder("merged")
        return Saved("merge", folder, backend.merge(self._job, self._loaded, folder))


def by_step(folder: Path) -> list[Path]:
    """Return a trainer's checkpoints, the earliest first."""
    return sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))


def follow(
    job: Job,
    saved: list[Saved],
    events: EventLog,
    phases: Phases,
    environment: dict[str, str],
) -> None:
    """Run a fresh process for each, and emit what it found.

    Args:
        job: The finished run's.
        saved: What to start from. Nothing of the run may be referenced any more: two models may not
            fit.
        events: Of the run.
        phases: Of the run; each process is one.
        environment: The variables with which the run itself was started.
    """
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and job.hardware["on_gpu"]:
        torch.cuda.empty_cache()
    for start in saved:
        with phases.phase(start.kind):
            for entry in _fresh(job, start, environment):
                events.emit("afterwards", **entry)


def _fresh(job: Job, start: Saved, environment: dict[str, str]) -> list[dict[str, Any]]:
    folder = Path(job.work_dir) / start.kind
    folder.mkdir()
    events_file = folder / "events.jsonl"
    child = replace(
        job,
        work_dir=str(folder),
        events_file=str(events_file),
        extras=[],
        again=start.kind,
        saved=start.folder,
    )
    job_file = folder / "job.json"
    job_file.write_text(json.dumps(asdict(child)), encoding="utf-8")
    command = [sys.executable, os.fspath(Path(__file__).parent), os.fspath(job_file)]
    # A pipe: see `lifeline.die_with_parent`.
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE) as process:
        code = process.wait()
    return entries(start, list(_read(events_file)), code)


def entries(start: Saved, events: list[dict[str, Any]], exit_code: int) -> list[dict[str, Any]]:
    """Fold a fresh process's events into entries of the record (`harness.record.Afterwards`)."""
    found: list[dict[str, Any]] = []
    failure, done, phase = None, False, "start"
    for event in events:
        fields = {name: value for name, value in event.items() if name != "event"}
        kind = event["event"]
        if kind == "reopened":
            found.append({"evaluations": [], "steps": [], **fields})
        elif kind in ("evaluation", "step") and found:
            found[-1][f"{kind}s"].append(fields)
        elif kind == "figures" and found:
            found[-1].update(fields)
        elif kind == "phase":
            phase = fields["name"]
        elif kind == "failure":
            failure = fields
        done = done or kind == "done"
    found = found or [{"kind": start.kind}]
    found[0]["how"] = start.how
    if exit_code != 0 or not done:
        found[-1]["failure"] = failure or {
            "phase": "exit" if done else phase,
            "kind": signal.Signals(-exit_code).name if exit_code < 0 else f"exit code {exit_code}",
            "message": "the fresh process ended without a word",
        }
    return found


def _read(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return  # Cut short by a kill.
