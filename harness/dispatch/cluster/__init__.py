"""The cells of a run on the nodes of a cluster; Ray is the one that is known."""
