"""Run experiments on a cluster's nodes: nothing is lost with a node, and no failure is hidden."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from filelock import BaseFileLock, Timeout
from pydantic import ValidationError

from harness.collect import record_unstarted
from harness.dispatch import expectation
from harness.dispatch.attempts import STRIKES, Attempts
from harness.dispatch.cluster.nodes import Answer, Cluster, Failed, Node, Recorded, Said
from harness.dispatch.cluster.order import Order
from harness.dispatch.dispatcher import Result, Run, make_way, reuse
from harness.dispatch.place import Need
from harness.dispatch.placement import Placement, Start
from harness.errors import SelectionError, first_problem
from harness.experiment import Extra
from harness.hardware import Machine
from harness.profiles import OVER
from harness.progress import Progress
from harness.record import Record
from harness.store import RecordStore

_POLL_S = 0.5
_LOOK_S = 5.0


@dataclass
class _Out:
    node: Node
    lock: BaseFileLock


@dataclass
class ClusterDispatcher:
    """Places runs on the nodes of a cluster.

    Attributes:
        store: Where records are found and kept: the driver's own.
        machine: What stands for the cluster; see `cluster.machine_of`.
        threads: CPU threads of one cell.
        jobs: Cells at once on each node, at most; None for as many as fit.
        fresh: Run even what is finished.
    """

    cluster: Cluster
    store: RecordStore
    machine: Machine
    progress: Progress
    threads: int = 1
    jobs: int | None = None
    fresh: bool = False
    _out: dict[int, _Out] = field(default_factory=dict)
    _held: set[int] = field(default_factory=set)
    _nodes: dict[str, Node] = field(default_factory=dict)
    _avoided: dict[str, str] = field(default_factory=dict)
    _attempts: Attempts = field(default_factory=Attempts)

    def run(self, runs: Sequence[Run]) -> Iterator[Result]:
        """Yield a result for each run as it is there; see `Dispatcher.run`.

        Raises:
            SelectionError: A run that keeps more than its record.
        """
        left = []
        for run in runs:
            if Extra.FIRST_STEP in run.experiment.extras:
                raise SelectionError("a cluster brings back records, not the first step's tensors.")
            found = None if self.fresh else reuse(run, self.store, self.progress)
            if found is None:
                left.append(run)
            else:
                yield found
        try:
            if left:
                yield from self._run(left)
        finally:
            self.cluster.cancel()
            for out in self._out.values():
                out.lock.release()
            self._out.clear()

    def _run(self, runs: Sequence[Run]) -> Iterator[Result]:
        self._nodes = {node.name: node for node in self.cluster.nodes()}
        placement = Placement(
            (node.place(self.threads, self.jobs) for node in self._nodes.values()),
            dict(enumerate(self._needs(runs))),
        )
        looked = time.monotonic()
        while placement.waiting or self._out or self._held:
            yield from self._let_go(runs, placement)
            for key in placement.stranded():
                yield self._without_an_answer(runs[key], self._stranded(key))
            while (start := placement.start()) is not None:
                yield from self._begin(runs[start.key], start, placement)
            for answer in self.cluster.wait(_POLL_S):
                yield from self._hear(answer, runs[answer.key], placement)
                if isinstance(answer, Failed):
                    looked = 0.0
            if time.monotonic() - looked > _LOOK_S:
                self._look(placement)
                looked = time.monotonic()

    def _needs(self, runs: Sequence[Run]) -> list[Need]:
        cpu = expectation.cpu_name(self.machine.cpu)
        shares = (n.memory_bytes // self._parallel(n) for n in self._nodes.values())
        # What a node has built it tells when it starts: unknown counts as not built.
        return expectation.needs(
            runs, self.store.folder, cpu, min(shares, default=0), lambda stack: False
        )

    def _parallel(self, node: Node) -> int:
        return max(1, node.place(self.threads, self.jobs).cores // self.threads)

    def _begin(self, run: Run, start: Start[int], placement: Placement[int]) -> Iterator[Result]:
        lock = self.store.lock(run.experiment, run.repeat)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            # Another harness runs it now.
            placement.end(start.key)
            self._held.add(start.key)
            return
        make_way(run, self.store, self.progress)
        found = None if self.fresh else reuse(run, self.store, self.progress)
        if found is not None:
            placement.end(start.key)
            lock.release()
            yield found
            return
        node = self._nodes[start.place]
        self._out[start.key] = _Out(node, lock)
        self.progress.started(run.label)
        order = Order.of(run, self._parallel(node), start.memory_bytes)
        target = run.experiment.target
        gpu = target.slug.rpartition(OVER)[2] if target.on_gpu else None
        self.cluster.start(start.key, order, node, gpu)

    def _let_go(self, runs: Sequence[Run], placement: Placement[int]) -> Iterator[Result]:
        for key in sorted(self._held):
            run = runs[key]
            try:
                with self.store.lock(run.experiment, run.repeat).acquire(blocking=False):
                    found = None if self.fresh else reuse(run, self.store, self.progress)
            except Timeout:
                continue
            self._held.discard(key)
            if found is None:
                placement.wait_again(key)
            else:
                yield found

    def _hear(self, answer: Answer, run: Run, placement: Placement[int]) -> Iterator[Result]:
        match answer:
            case Said(key, "built"):
                placement.built(key)
            case Said(_, "say", text):
                self.progress.say(str(text))
            case Said(_, "event", event):
                self.progress.event(run.label, event)
            case Recorded(key, text):
                record = self._valid(text, run)
                if isinstance(record, Record):
                    self.store.save(run.experiment, record)
                    self._attempts.answered(self._end(key, placement).name)
                    self.progress.finished(run.label, record, reused=False)
                    yield Result(run, record, reused=False)
                else:
                    yield from self._failed(key, run, record, placement)
            case Failed(key, reason, node_is_gone):
                if node_is_gone:
                    self._lose(self._out[key].node.name, placement)
                yield from self._failed(key, run, reason, placement)

    def _failed(
        self, key: int, run: Run, reason: str, placement: Placement[int]
    ) -> Iterator[Result]:
        node = self._end(key, placement)
        if self._attempts.failed(key, node.name, node.address, reason):
            self.progress.say(f"{run.label}: {node.address} failed it, again elsewhere: {reason}")
            placement.wait_again(key, bar=node.name)
        else:
            yield self._without_an_answer(run, self._attempts.reasons(key))
        if self._attempts.keeps_failing(node.name) and node.name in placement.open:
            placement.close(node.name)
            self._avoided[node.name] = f"{node.address} failed {STRIKES} runs in a row: {reason}"
            self.progress.say(self._avoided[node.name])

    def _end(self, key: int, placement: Placement[int]) -> Node:
        placement.end(key)
        out = self._out.pop(key)
        out.lock.release()
        return out.node

    def _look(self, placement: Placement[int]) -> None:
        alive = {node.name: node for node in self.cluster.nodes()}
        for name in placement.open - alive.keys():
            self._lose(name, placement)
        for name in alive.keys() - self._nodes.keys():
            placement.add(alive[name].place(self.threads, self.jobs))
        self._nodes |= alive

    def _lose(self, name: str, placement: Placement[int]) -> None:
        if name in placement.open:
            placement.close(name)
            self.progress.say(f"{self._nodes[name].address} is gone")

    def _valid(self, text: str, run: Run) -> Record | str:
        try:
            record = Record.model_validate_json(text)
        except ValidationError as error:
            return f"its answer is no record: {first_problem(error)}"
        if (record.key, record.repeat) != (run.experiment.key, run.repeat):
            return f"its answer is the record of another run: {record.cell_id}"
        return record

    def _stranded(self, key: int) -> str:
        left = "no node is left that can run it"
        return "; ".join(filter(None, [self._attempts.reasons(key), left, *self._avoided.values()]))

    def _without_an_answer(self, run: Run, message: str) -> Result:
        record = record_unstarted(
            run.experiment, self.machine, run.repeat, message, "NodeFailure", "placement"
        )
        self.store.save(run.experiment, record)
        self.progress.finished(run.label, record, reused=False)
        return Result(run, record, reused=False)
