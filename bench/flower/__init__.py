"""The same studies in Flower, which lives in an environment of its own."""
