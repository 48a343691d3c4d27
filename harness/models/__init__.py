"""The checkpoints that are built from a seed, and the shapes of the published models."""
