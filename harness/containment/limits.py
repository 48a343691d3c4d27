"""How much a payload may use before it is stopped."""

import os
from dataclasses import dataclass
from pathlib import Path

_GIB = 1 << 30

ANSWER_BYTES = 48 << 20
"""Of all events together: the record of an hour of training is below 1 MiB."""


@dataclass(frozen=True)
class Limits:
    """Of one payload, all its processes together.

    Attributes:
        file_bytes: The largest file it may write (RLIMIT_FSIZE).
        folder_bytes: All that it may keep in its work folder.
        processes: How many there may be at once, by the harness's count.
        tasks: Processes and threads at once, where it has a user namespace of its own (RLIMIT_NPROC). The
            kernel does not hold root to it.
    """

    file_bytes: int
    folder_bytes: int
    processes: int
    tasks: int

    @classmethod
    def for_model(cls, model_dir: Path | None = None) -> "Limits":
        """Return what a fine-tune of a checkpoint needs at most, several times over.

        Args:
            model_dir: The checkpoint; None where no model is loaded. A run may save it merged, in a wider
                dtype, and in copies.
        """
        model, cores = 0, os.cpu_count() or 1
        if model_dir is not None:
            model = sum(file.stat().st_size for file in model_dir.iterdir() if file.is_file())
        # Inductor starts as many workers as there are cores, each with its own threads.
        return cls(2 * _GIB + 4 * model, 4 * _GIB + 16 * model, 128 + 4 * cores, 2048 + 128 * cores)
