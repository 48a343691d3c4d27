"""A saved adapter kills the process that loads it."""

import os
import signal
from typing import Any


def install(context: Any) -> None:
    def from_pretrained(*args: Any, **kwargs: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    context.peft.PeftModel.from_pretrained = from_pretrained
