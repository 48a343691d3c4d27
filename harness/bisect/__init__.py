"""Which release did it, and which of its packages: a search over the registry's real history."""
