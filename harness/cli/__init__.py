"""The command line: parses, calls, prints; a module for each group of commands."""
