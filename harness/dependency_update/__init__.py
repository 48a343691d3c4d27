"""An update of a lock file, as a pull request brings it: what moved of the stack, what it does, what to say of it.

`update` reads both sides, `planned` says which cells answer it, `answer` judges, `comment` and `annotations` tell a
reviewer, `merge` puts the runs of several machines together.
"""
