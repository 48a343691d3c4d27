"""Where a cell runs. This machine, for now: one process a cell, as many at once as fit."""
