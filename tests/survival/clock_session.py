"""The harness with a wall clock that jumps by hours while it runs: `python -m tests.survival.clock_session ARGUMENT...`.

The clock of this process alone: `time.time`, `datetime.now` and what else reads the wall clock, in C. The
monotonic clock is left as it is, as a kernel leaves it when an administrator or NTP sets the time.
"""

import random
from datetime import UTC, datetime, timedelta
from itertools import cycle
from threading import Event, Thread

import time_machine

from harness.cli.main import main

JUMPS_H = (-7, 31, -48, 5, 24 * 400, -24 * 800, 24 * 400)
EVERY_S = 0.05


def jump(clock: time_machine.Traveller, over: Event) -> None:
    """Set the clock back and forward until it is over."""
    for hours in cycle(JUMPS_H):
        if over.wait(EVERY_S * random.uniform(0.5, 1.5)):
            break
        clock.shift(timedelta(hours=hours))


if __name__ == "__main__":
    over = Event()
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:
        jumper = Thread(target=jump, args=(clock, over), daemon=True)
        jumper.start()
        try:
            main()
        finally:
            over.set()
            jumper.join()
