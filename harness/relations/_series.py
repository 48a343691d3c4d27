"""The series of two runs side by side."""

from collections.abc import Callable, Iterator

from harness.comparison import dtype
from harness.record import Evaluation, Record, Step
from harness.relations.deviation import Deviation, largest, relative


def trajectories(a: Record, b: Record, names: str) -> Iterator[Deviation]:
    """Compare the losses of two runs, and in float32 their gradients' norms.

    In fewer bits grad_norm is mostly rounding.

    Args:
        a: One run.
        b: The other.
        names: Both, as the user reads them.
    """
    yield training_loss(a, b, names)
    if dtype(b) == "float32":
        yield grad_norm(a, b, names)
    yield token_loss(a, b, names)


def training_loss(a: Record, b: Record, names: str) -> Deviation:
    """Compare the unrounded loss of every step."""
    if len(a.steps) != len(b.steps):
        counts = f"{names}: {len(a.steps)} steps against {len(b.steps)}"
        return Deviation("loss", float("inf"), counts)
    return largest(
        "loss",
        (
            (relative(_loss(s), _loss(t)), f"{names}, step {s.step}")
            for s, t in zip(a.steps, b.steps, strict=True)
        ),
    )


def grad_norm(a: Record, b: Record, names: str) -> Deviation:
    """Compare grad_norm of every step."""
    return largest(
        "grad_norm",
        (
            (relative(s.grad_norm, t.grad_norm), f"{names}, step {s.step}")
            for s, t in zip(a.steps, b.steps, strict=False)
        ),
    )


def token_loss(a: Record, b: Record, names: str) -> Deviation:
    """Compare the cross-entropy per supervised token of every evaluation."""
    return _evaluations("token_loss", a, b, names, lambda e: e.token_loss)


def eval_loss(a: Record, b: Record, names: str) -> Deviation:
    """Compare eval_loss of every evaluation, as the trainer reports it."""
    return _evaluations("eval_loss", a, b, names, lambda e: e.eval_loss)


def _evaluations(
    quantity: str, a: Record, b: Record, names: str, figure: Callable[[Evaluation], float | None]
) -> Deviation:
    if len(a.evaluations) != len(b.evaluations):
        counts = f"{names}: {len(a.evaluations)} evaluations against {len(b.evaluations)}"
        return Deviation(quantity, float("inf"), counts)
    return largest(
        quantity,
        (
            (relative(figure(e), figure(f)), f"{names}, evaluation at step {e.step}")
            for e, f in zip(a.evaluations, b.evaluations, strict=True)
        ),
    )


def _loss(step: Step) -> float | None:
    return step.loss if step.raw_loss is None else step.raw_loss
