"""A payload in namespaces of its own by unshare(1): no network and no other process, but all files."""

PROGRAM = "unshare"


def command(*, bound: bool = True) -> list[str]:
    """Return the command that a payload's own follows (util-linux 2.37 and later).

    Args:
        bound: Whether it ends with the thread that starts it.
    """
    first = ["setpriv", "--pdeathsig", "KILL"] if bound else []
    own = ["--user", "--map-current-user", "--net", "--ipc", "--uts", "--pid", "--mount"]
    # Without capabilities it cannot take its own /proc away, below which is the machine's.
    harmless = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    # The first process of a namespace is spared by its own signals, so that may not be the payload.
    init = ["sh", "-c", '"$@"; exit $?', "sh"]
    return [*first, PROGRAM, *own, "--mount-proc", "--fork", "--kill-child", *harmless, *init]
