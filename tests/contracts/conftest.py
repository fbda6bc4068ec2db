"""Fixtures of the tests of contracts: one anvil for the run, each test on a snapshot of it."""

from tests.contracts.kit import deployed, world

__all__ = ["deployed", "world"]
