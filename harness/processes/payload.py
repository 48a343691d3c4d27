"""A payload process: what it is started in, its start, and its end."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from harness.containment.choice import choose
from harness.containment.command import contained, exit_code, placed
from harness.containment.limits import Limits
from harness.experiment import Experiment
from harness.locations import PACKAGE
from harness.processes.surroundings import cell_environment
from harness.processes.tree import kill, kill_group, kill_users_of, processes_of
from harness.record import Containment

_GRACE_S = 5.0


@dataclass(frozen=True)
class Setting:
    """Where and how a payload process runs.

    Attributes:
        python: The stack's interpreter.
        folder: All that it writes is in here.
        threads: CPU threads of the cell.
        limits: What it may use.
        read: What it may read beside the system, its stack and the payload.
        gpu_uuid: The only GPU that it may see; None leaves the user's choice.
        on_gpu: Whether it computes on a GPU.
        bound: Whether it ends with the thread that starts it; one that takes orders sees their end.
    """

    python: Path
    folder: Path
    threads: int
    limits: Limits
    read: tuple[Path, ...] = ()
    gpu_uuid: str | None = None
    on_gpu: bool = False
    bound: bool = True

    @classmethod
    def of(cls, experiment: Experiment, python: Path, folder: Path, *read: Path) -> Self:
        """Return the setting of an experiment, whose inputs must be built.

        Args:
            experiment: What runs.
            python: As above.
            folder: As above.
            read: What it may read beside the experiment's inputs.
        """
        return cls(
            python,
            folder,
            experiment.threads,
            Limits.for_model(experiment.model_dir),
            (*experiment.inputs(), *read),
            experiment.target.gpu_uuid,
            experiment.target.on_gpu,
        )

    @property
    def work_dir(self) -> Path:
        """The folder that it starts in, made when it is first asked for."""
        path = self.folder / "cell"
        path.mkdir(exist_ok=True)
        return path

    @property
    def containment(self) -> Containment:
        """What keeps it in.

        Raises:
            ContainmentError: What the user asks for does not work here.
        """
        return choose(on_gpu=self.on_gpu)

    @property
    def environment(self) -> dict[str, str]:
        """Its variables."""
        return cell_environment(self.work_dir, self.threads, self.gpu_uuid)

    def command(self, *arguments: str | Path) -> list[str]:
        """Return the command that runs the stack's Python with some arguments, contained."""
        return contained(
            self.containment.kind,
            self.python,
            *arguments,
            work_dir=self.work_dir,
            scratch=self.folder,
            read=(PACKAGE / "payload", *self.read),
            limits=self.limits,
            bound=self.bound,
            on_gpu=self.on_gpu,
        )

    def exit_code(self, code: int) -> int:
        """Return the payload's exit code, negative for a signal, from its process's."""
        return exit_code(self.containment.kind, code)


@dataclass(frozen=True)
class Priority:
    """Which logical cores a process may use, any if empty, and the scheduling priority to ask for."""

    cores: tuple[int, ...]
    nice: int


class PayloadProcess:
    """A payload that was started.

    Attributes:
        popen: Its process, or that of its containment.
    """

    def __init__(self, popen: "subprocess.Popen[bytes]", setting: Setting) -> None:
        self.popen = popen
        self._setting = setting

    @property
    def pid(self) -> int:
        """The process id of the group's leader."""
        return self.popen.pid

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        code = self.popen.poll()
        return None if code is None else self._setting.exit_code(code)

    def end(self) -> int:
        """Kill it and all it started, wait for its end and return its exit code, negative for a signal."""
        # From within: a namespace's first process takes the others along, and its parent sees it gone.
        kill(processes_of(self.pid)[1:])
        try:
            self.popen.wait(_GRACE_S if self._setting.containment.kind != "limits" else 0.0)
        except subprocess.TimeoutExpired:
            pass
        kill_group(self.pid)
        code = self.popen.wait()
        if self.popen.stdin is not None:
            self.popen.stdin.close()
        if self._setting.containment.processes:
            kill_users_of(self._setting.work_dir / "home")
        return self._setting.exit_code(code)


def start_payload(
    setting: Setting,
    *arguments: str | Path,
    stdin: int | IO[bytes],
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
    priority: Priority | None = None,
) -> "PayloadProcess":
    """Start the payload in a session of its own, so that nothing of it outlives a kill of its group.

    Args:
        setting: Where and how.
        arguments: Of the payload.
        stdin: As `subprocess.Popen` takes it.
        stdout: As there.
        stderr: As there.
        priority: If it is not as any process.
    """
    command = setting.command(PACKAGE / "payload", *arguments)
    if priority is not None:
        command = placed(command, priority.cores, priority.nice)
    popen = subprocess.Popen(
        command,
        cwd=setting.work_dir,
        env=setting.environment,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
    return PayloadProcess(popen, setting)
