"""A user's own lock files: which version of each package they pin, on which line, and the stack in them.

`read` takes the text of a lock file of any format (`reading` lists them, each is a module); `stack_lock` cuts the fine-tuning stack out of it
and makes it a lock that the harness installs; `git_files` gets the text as it was at another commit.
"""

from harness.lock_files.pins import LockFile, Pin
from harness.lock_files.reading import is_lock_file, read

__all__ = ["LockFile", "Pin", "is_lock_file", "read"]
