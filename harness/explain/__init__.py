"""Two runs' first steps taken apart, and the first thing that differs."""
