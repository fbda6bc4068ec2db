"""What a process keeps so as not to do it twice: gone with it, and never believed over the chain.

A state is found by the digest that the chain names at the block of the step, so another one is
never taken for it; a sum, by the very freezes and submissions that are in it. An auditor uses
neither: it asks what the store holds now.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a patient's process has a memory too, and no use for tensors
    from chain.round_events import Frozen, Submitted
    from federated.aggregate import WeightedSum
    from federated.judging import Judged
    from federated.spec import StudySpec
    from federated.state import GlobalState

MOST = 1 << 28
"""Bytes of the largest state that is kept, and of the largest sum that is begun; one of each."""


def key_of(frozen: Frozen, event: Submitted) -> bytes:
    """Which update a sum has (64 bytes): another freeze of the same one is another."""
    return frozen.freeze.digest() + event.digest()


@dataclass(frozen=True, slots=True)
class Begun:
    """The sum of a round's first updates: by key, what each was judged, and in how many seconds."""

    spec: StudySpec
    total: WeightedSum
    held: dict[bytes, tuple[Judged, float]] = field(default_factory=dict)


class Memory:
    """One state and one begun sum; for several threads at once."""

    def __init__(self) -> None:
        self._state: tuple[bytes, bytes, GlobalState] | None = None
        self._sum: tuple[int, int, Begun] | None = None
        self._taking = threading.Lock()

    def state(self, spec: bytes, digest: bytes) -> GlobalState | None:
        """The state of this digest, in a study of this spec (its digest), if it is the one kept."""
        kept = self._state
        return kept[2] if kept is not None and kept[:2] == (spec, digest) else None

    def keep_state(self, spec: bytes, digest: bytes, state: GlobalState) -> None:
        """Keep a state in the place of the one before, read-only: who opens it shares it."""
        parts = [state.parameters, *state.server.values()]
        arrays = [array for part in parts for array in part.values()]
        if sum(array.nbytes for array in arrays) > MOST:
            return
        for array in arrays:
            array.flags.writeable = False
        self._state = (spec, digest, state)

    def take_sum(self, study: int, number: int) -> Begun | None:
        """The sum begun for a round, for one thread alone: it is kept no more."""
        with self._taking:
            if self._sum is None or self._sum[:2] != (study, number):
                return None
            found, self._sum = self._sum[2], None
            return found

    def keep_sum(self, study: int, number: int, begun: Begun) -> None:
        """Keep a sum in the place of the one before, if something is in it and it is sound."""
        if begun.held and begun.total.is_usable:
            with self._taking:
                self._sum = (study, number, begun)
