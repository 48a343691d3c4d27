"""Known regressions, injected on purpose: which check sees each."""
