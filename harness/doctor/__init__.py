"""Before any training: which precision fits the hardware, whether the model does, and what to change."""
