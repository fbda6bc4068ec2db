"""Learning: study spec, local training, exact aggregation, rewards, and the actors."""
