"""Waits while a study goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from api.cli.show import warn
from api.settings import WS, setting
from chain.bell import Bell, sockets_of
from chain.clock import Clock
from chain.errors import NodeDown, TxTimeout
from chain.node import Node
from federated.party import Party
from storage.errors import Unreachable

_FOREVER_S = 10**9
_LOOK_EVERY_S = 0.7


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
    node = party.chain.client.node
    with waking(node, patience) as pause:
        Clock(node).wait_for(
            lambda: patience.attempt(step) or None,
            what="the study",
            timeout_s=_FOREVER_S,
            poll_s=_LOOK_EVERY_S,
            pause=pause,
        )


@contextmanager
def waking(
    node: Node, patience: Patience, given: str | None = None
) -> Iterator[Callable[[float], object]]:
    """How to wait between two looks: less long where a WebSocket tells of a block.

    Raises `BadSocket`, `SettingError`.
    """
    where = given or setting(WS)
    if where is None:
        yield time.sleep
        return
    with Bell(sockets_of(node.addresses if where == "auto" else where), patience.warn) as bell:
        yield bell.wait
