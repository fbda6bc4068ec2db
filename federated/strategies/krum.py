"""Krum: the one update that has the most others near it."""

from __future__ import annotations

from federated.codec import Config
from federated.strategies.multi_krum import LIARS, MultiKrum


class Krum(MultiKrum):
    """Multi-Krum that chooses one: the model follows a single hospital in each round."""

    name = "krum"
    needs = "2f + 3"
    settings = (LIARS,)

    def chosen(self, config: Config) -> int:
        """One."""
        del config
        return 1
