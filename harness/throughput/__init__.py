"""Is B slower than A: live processes take turns, and a sequential rule decides."""
