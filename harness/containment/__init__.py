"""What keeps a payload in: a gate runs releases that nobody has reviewed."""
