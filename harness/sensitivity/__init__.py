"""What slowdown is found, and how often: the rule beside those of other tools on the same process pairs."""
