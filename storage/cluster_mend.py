"""Copies that were lost are made again elsewhere, also where IPFS Cluster itself waits.

Of a peer that is silent the cluster makes what falls under the pin's least. It does nothing about a
peer that lives while its Kubo is dead or its disk full (its alarm is of pings alone), nor about the
third copy of three. Whoever runs a member calls `mend` now and then: docs/adr/0058.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from storage.cluster_config import MAX_COPIES
from storage.cluster_rpc import PINNED, SILENT, ClusterRpc, Copy

_UNDER_WAY = ("pinning", "pin_queued")
FAILED = ("pin_error", "unexpectedly_unpinned", SILENT)


@dataclass(frozen=True, slots=True)
class Mended:
    """What one look at all roots led to."""

    roots: int = 0
    ordered: int = 0
    """Roots for which another member was asked for a copy."""
    short: int = 0
    """Roots that have fewer copies than wanted, whether or not more could be ordered."""

    def __str__(self) -> str:
        return f"{self.short} of {self.roots} roots lack copies; ordered for {self.ordered}"


def held(copies: Sequence[Copy]) -> int:
    """How many peers report the copy: nothing else is one."""
    return sum(copy.state == PINNED for copy in copies)


def failed(copies: Sequence[Copy]) -> bool:
    """Whether a peer that is to hold a copy says that it cannot."""
    return any(copy.state in FAILED for copy in copies)


def to_order(copies: Sequence[Copy], living: Collection[str], wanted: int) -> int:
    """For how many copies the order must be so that enough new peers are asked; 0 for none.

    `living` are the ids of the peers that tell their free space. The cluster counts each of them
    that is asked already as a holder, also one that cannot hold: so the number grows by those.
    """
    asked = {copy.peer_id for copy in copies}
    coming = sum(copy.state in _UNDER_WAY and copy.peer_id in living for copy in copies)
    lacking = wanted - held(copies) - coming
    fresh = min(lacking, len(set(living) - asked))
    return len(asked & set(living)) + fresh if fresh > 0 else 0


def order_elsewhere(
    rpc: ClusterRpc,
    cid: str,
    copies: Sequence[Copy],
    wanted: int,
    timeout_s: float | None = None,
) -> bool:
    """Ask other members for what these cannot hold, and these to try again; whether one was asked.

    `timeout_s` is for each call. Raises Unreachable.
    """
    if number := to_order(copies, rpc.known("freespace", timeout_s), wanted):
        rpc.pin(cid, number, max(number, MAX_COPIES), timeout_s)
    if failed(copies):
        rpc.recover(cid, timeout_s)
    return number > 0


def mend(rpc: ClusterRpc, wanted: int = MAX_COPIES) -> Mended:
    """Look at every root once, and order what is lacking. Raises Unreachable.

    Each is read again just before: an order for one that was unpinned since would bring it back.
    """
    told = rpc.pinset()
    short = [cid for cid, copies in told.items() if held(copies) < wanted]
    ordered = 0
    for cid in short:
        if (copies := rpc.copies(cid)) and held(copies) < wanted:
            ordered += order_elsewhere(rpc, cid, copies, wanted)
    return Mended(len(told), ordered, len(short))
