"""Where each cell runs, and when: on this machine, or on the nodes of a cluster."""
