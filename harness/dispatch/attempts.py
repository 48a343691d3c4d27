"""What a failure of a node costs: the run goes elsewhere, a node that keeps failing is avoided."""

from collections import Counter, defaultdict

RETRIES = 2
"""A run is tried elsewhere so often; then it has no answer."""
STRIKES = 3
"""Failures in a row after which a node gets no more runs."""


class Attempts:
    """Counts failures of the harness's side. A payload's crash is a result and is none."""

    def __init__(self) -> None:
        self._reasons: defaultdict[int, list[str]] = defaultdict(list)
        self._strikes: Counter[str] = Counter()

    def failed(self, key: int, node: str, where: str, reason: str) -> bool:
        """Note that a run failed on a node.

        Args:
            key: What names the run.
            node: What names the node.
            where: The node as people know it.
            reason: Why.

        Returns:
            Whether the run may be tried again.
        """
        self._strikes[node] += 1
        self._reasons[key].append(f"on {where}: {reason}")
        return len(self._reasons[key]) <= RETRIES

    def answered(self, node: str) -> None:
        """Note that a node ran something to its record."""
        self._strikes[node] = 0

    def keeps_failing(self, node: str) -> bool:
        """Whether a node gets no more runs."""
        return self._strikes[node] >= STRIKES

    def reasons(self, key: int) -> str:
        """Return why a run failed, each time."""
        return "; ".join(self._reasons[key])
