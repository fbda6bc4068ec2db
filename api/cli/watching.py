"""Waits while a study goes on."""

from __future__ import annotations

from collections.abc import Callable

from api.cli.show import warn
from chain.clock import Clock
from chain.errors import NodeDown, TxTimeout
from federated.party import Party
from storage.errors import Unreachable

_FOREVER_S = 10**9
_LOOK_EVERY_S = 0.5


class Patience:
    """Warns of each thing once, and waits for a node or a store that is away for a while.

    Nothing that was done is lost meanwhile.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def warn(self, text: str) -> None:
        """One line on stderr, the first time."""
        if text not in self._seen:
            self._seen.add(text)
            warn(text)

    def attempt(self, step: Callable[[], bool]) -> bool:
        """What `step` gives, or False where node or store are away."""
        try:
            return step()
        except (NodeDown, Unreachable, TxTimeout) as exc:
            self.warn(str(exc))
            return False


def watch(party: Party, step: Callable[[], bool], patience: Patience) -> None:
    """Take `step` again and again until it gives True; a chain that stands still gets blocks."""
    clock = Clock(party.chain.client.node)
    clock.wait_for(
        lambda: patience.attempt(step) or None,
        what="the study",
        timeout_s=_FOREVER_S,
        poll_s=_LOOK_EVERY_S,
    )
