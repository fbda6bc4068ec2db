"""The demo: one whole study on one machine, every actor with a home of its own."""
