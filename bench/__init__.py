"""Claims of speed, each measured beside a named peer in one run, as a ratio."""
