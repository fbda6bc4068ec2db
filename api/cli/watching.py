"""Waits while a study goes on."""

from __future__ import annotations

from collections.abc import Callable

from chain.clock import Clock
from chain.errors import NodeDown, TxTimeout
from federated.party import Party
from storage.errors import Unreachable

_FOREVER_S = 10**9
_LOOK_EVERY_S = 0.5


def watch(party: Party, step: Callable[[], bool], warn: Callable[[str], None]) -> None:
    """Take `step` again and again until it gives True.

    A node or a store that is away for a while is waited for: nothing that was done is lost.
    """
    seen: set[str] = set()

    def ready() -> bool | None:
        try:
            return step() or None
        except (NodeDown, Unreachable, TxTimeout) as exc:
            if str(exc) not in seen:
                seen.add(str(exc))
                warn(str(exc))
            return None

    clock = Clock(party.chain.client.node)
    clock.wait_for(ready, what="the study", timeout_s=_FOREVER_S, poll_s=_LOOK_EVERY_S)
