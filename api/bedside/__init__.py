"""How a prediction is told: as a tree for programs, and in words for people."""
