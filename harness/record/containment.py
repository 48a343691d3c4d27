"""What kept a payload in while it ran."""

from typing import Literal

from harness.record.data import Data

Kind = Literal["bubblewrap", "unshare", "limits"]


class Containment(Data):
    """What a payload could not do, by a trial on the machine that it ran on."""

    kind: Kind
    """`bubblewrap`; `unshare`: namespaces alone; `limits`: nothing but limits and an environment without
    secrets."""
    network: bool
    """Whether it could reach a network, loopback included."""
    files: bool
    """Whether it could reach files that are neither its own nor given to it to read."""
    processes: bool
    """Whether it could see other processes."""
    why: str = ""
    """Why it was nothing stronger."""

    @property
    def reaches(self) -> tuple[str, ...]:
        """What of its machine it could reach: `network`, `files`, `processes`."""
        return tuple(name for name in ("network", "files", "processes") if getattr(self, name))
