"""A fine-tune that waits for an order before each optimizer step, so that two of them can take turns.

`{"ready": true}` leaves before the first step. Each `{"steps": n, "evaluate": bool, "level": seconds}` is
then answered by `{"steps_s": [...], "evaluation_s": ...}`, once the process has nothing to do but to wait.
No evidence is taken: nothing runs but the fine-tune and its clock. It ends with its orders.
"""

from pathlib import Path

from .channel import Channel
from .events import EventLog
from .finetune import load, rendered
from .job import Job
from .phases import Phases


def train_as_ordered(job: Job, events: EventLog, phases: Phases) -> None:
    """Train until the orders end."""
    channel = Channel(Path(job.work_dir) / "output.txt")
    ready = load(job, events, phases)
    from .step_orders import OrdersEnded, StepOrders

    orders = StepOrders(channel, ready.fault, on_gpu=job.hardware["on_gpu"])
    with phases.phase("data"):
        texts = rendered(job, ready.loaded.tokenizer)
        trainer = ready.backend.trainer(job, ready.loaded, texts, [orders])
        orders.attach(trainer)
        ready.fault.trainer_ready(trainer)
    try:
        with phases.phase("train"):
            trainer.train()
    except OrdersEnded:
        return
    raise RuntimeError("training ended before its orders did")
