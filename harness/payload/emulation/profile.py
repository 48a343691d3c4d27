"""The card that the library under test is shown."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Profile:
    """What a CUDA driver would say about one card.

    Attributes:
        name: As `torch.cuda.get_device_name` gives it: `Tesla T4`.
        capability: Compute capability, major and minor.
        memory_bytes: Total memory of the card.
        sm_count: Streaming multiprocessors.
    """

    name: str
    capability: tuple[int, int]
    memory_bytes: int
    sm_count: int

    @classmethod
    def of(cls, hardware: dict[str, Any]) -> "Profile":
        """Read the `hardware` field of a job.

        Args:
            hardware: With `name`, `compute_capability` (`7.5`), `memory_bytes` and `sm_count`.

        Raises:
            KeyError: A field is missing: the card is described by the harness, never guessed here.
        """
        major, minor = str(hardware["compute_capability"]).split(".")
        return cls(
            name=hardware["name"],
            capability=(int(major), int(minor)),
            memory_bytes=int(hardware["memory_bytes"]),
            sm_count=int(hardware["sm_count"]),
        )
