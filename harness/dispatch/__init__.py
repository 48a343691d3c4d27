"""Where a cell runs: this machine, or the nodes of a cluster; what a cell needs, and one process of it."""
