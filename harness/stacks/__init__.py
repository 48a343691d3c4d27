"""Stacks: from a release's day to an environment on disk, from a registry or from a wheelhouse."""
