"""Become a command whose files may not grow beyond some bytes: `python -m tests.survival.limited BYTES COMMAND...`."""

import os
import resource
import sys

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
    os.execvp(sys.argv[2], sys.argv[2:])
