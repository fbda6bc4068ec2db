"""Blocks in a member's own Kubo, and copies of what is pinned at other members' by IPFS Cluster.

Bytes go to the member's own node alone, as in `storage.kubo`, and from there to the others: so the
CID is computed and compared, and a broken upload goes on with the blocks that are missing. Pinned
means that enough peers report `pinned`, never that the cluster took the order: docs/adr/0042.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from tempfile import SpooledTemporaryFile

from storage.cid import Cid, Codec
from storage.cluster_config import MAX_COPIES
from storage.cluster_heal import healed
from storage.cluster_member import Member
from storage.cluster_mend import Mended, failed, held, mend, order_elsewhere
from storage.cluster_rpc import ClusterRpc, Copy
from storage.errors import (
    CorruptBlock,
    MissingBlock,
    TooFewCopies,
    TooSlow,
    Unreachable,
)
from storage.kubo import CALL_S, FIND_S, KuboStore, readable
from storage.outgoing import outgoing
from storage.resuming import has_begun, pauses, resume
from storage.unixfs import Readable, export_file

PIN_S = 300.0  # for all copies of all that one call pins
RESUME_S = 60.0
_IN_MEMORY = 16 << 20
_AT_ONCE = 8  # orders under way; more wait here, not in the peer
_RECOVER_EACH_S = 5.0

Told = Callable[[Cid, Sequence[Copy]], None]
"""Hears how far each copy is, each time that this changes."""


class ClusterStore(KuboStore):
    """A `BlockStore` of one member: its own node, and the peer of the cluster that goes with it."""

    def __init__(
        self,
        member: Member,
        *,
        copies: int | None = None,
        pin_s: float = PIN_S,
        resume_s: float = RESUME_S,
        find_s: float = FIND_S,
        call_s: float = CALL_S,
        told: Told | None = None,
    ) -> None:
        """`copies` is how many peers must hold what is pinned; the member's least where None.
        `pin_s` is the deadline of one `pin`, whatever happens meanwhile; `resume_s` how long a
        node that broke an upload off is waited for."""
        super().__init__(member.kubo, find_s=find_s, call_s=call_s)
        self.copies = copies or member.copies
        self.pin_s = pin_s
        self.resume_s = resume_s
        self.cluster = ClusterRpc(member.cluster, member.user, member.password, timeout_s=call_s)
        self._told = told or (lambda _cid, _copies: None)
        self._healing = threading.Lock()

    def close(self) -> None:
        """Close the connections to node and peer."""
        self.cluster.close()
        super().close()

    def pin(self, *cids: Cid) -> None:
        """See BlockStore. Returns once enough peers report each root `pinned`.

        Raises also TooFewCopies: some are there, and the cluster goes on; ask again.
        """
        super().pin(*cids)  # nothing is asked of others that the own node lacks
        self._keep_all(cids)

    def put_pinned(self, codec: Codec, block: bytes) -> Cid:
        """See BlockStore. Returns, and raises, as `pin` does."""
        cid = super().put_pinned(codec, block)
        self._keep_all([cid])
        return cid

    def _keep_all(self, cids: Sequence[Cid]) -> None:
        deadline = time.monotonic() + self.pin_s
        with ThreadPoolExecutor(max(1, min(_AT_ONCE, len(cids)))) as pool:
            for wait in [pool.submit(self._keep, cid, deadline) for cid in cids]:
                wait.result()

    def unpin(self, cid: Cid) -> None:
        """See BlockStore. For all members: the cluster has one list of what is kept."""
        self.cluster.unpin(str(cid))
        super().unpin(cid)

    def pins(self) -> list[Cid]:
        """See BlockStore: the roots of which enough peers report a copy."""
        found = self.cluster.pinset().items()
        return readable(text for text, copies in found if held(copies) >= self.copies)

    def wanted(self) -> list[Cid]:
        """See Node: all orders, and what is pinned here without one."""
        return readable({*self.cluster.orders(), *self.control.pins()})

    def mend(self) -> Mended:
        """Order copies anew that members lost, also while their peers live. Raises Unreachable."""
        return mend(self.cluster)

    def get_block(self, cid: Cid) -> bytes:
        """See BlockStore. A block that is corrupt here is replaced by another member's."""
        try:
            return super().get_block(cid)
        except CorruptBlock:
            with self._healing:
                return healed(self, self.cluster, cid, super().get_block)

    def cat(self, cid: Cid, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See BlockStore. A block that is corrupt here is replaced by another member's."""
        done = 0
        try:
            for piece in super().cat(cid, offset, length):
                yield piece
                done += len(piece)
        except CorruptBlock as exc:
            left = None if length is None else length - done
            try:
                yield from export_file(cid, self.get_block, offset + done, left)
            except MissingBlock as missing:
                # Removed, and nobody gave it: it was corrupt, not missing. Who was silent is told.
                raise exc from exc.__cause__ or missing

    def add_file(self, stream: Readable) -> Cid:
        """See BlockStore. Once its node is back after a failure, it gets the blocks that it lacks;
        for that the bytes are kept meanwhile, over 16 MiB on the disk. So it does where it has the
        beginning of a file: what another process sent of it is not sent again."""
        if has_begun(stream, self):
            return resume(self, stream, self.resume_s)
        with SpooledTemporaryFile(_IN_MEMORY) as sent, outgoing(stream, sent.write) as file:
            try:
                return self._send(file)
            except Unreachable:
                file.cid()  # takes what is left of the stream
            sent.seek(0)
            return resume(self, sent, self.resume_s)

    def _keep(self, cid: Cid, deadline: float) -> None:
        """Order copies, and wait for them; what fails is tried again until the deadline."""
        ordered, seen, failure = False, list[Copy](), ""
        waits, recover_at = pauses(), time.monotonic() + _RECOVER_EACH_S
        while (left := deadline - time.monotonic()) > 0:
            wait_s = min(left, self.cluster.timeout_s)
            try:
                if not ordered:
                    self.cluster.pin(str(cid), self.copies, max(self.copies, MAX_COPIES), wait_s)
                    ordered = True
                copies = self.cluster.copies(str(cid), wait_s)
                if copies != seen:
                    self._told(cid, copies)
                    seen = copies
                if held(copies) >= self.copies:
                    return
                if failed(copies) and time.monotonic() > recover_at:
                    recover_at = time.monotonic() + _RECOVER_EACH_S
                    order_elsewhere(self.cluster, str(cid), copies, self.copies, wait_s)
                if not copies:  # taken out again by another member, or not heard yet
                    ordered = False
            except TooSlow as exc:  # the last call is cut short: what was said before tells more
                failure = failure or str(exc)
            except Unreachable as exc:
                failure = str(exc)
            time.sleep(min(next(waits), max(0.0, deadline - time.monotonic())))
        raise self._too_few(cid, seen, failure or "nobody was asked")

    def _too_few(self, cid: Cid, copies: Sequence[Copy], failure: str) -> TooFewCopies:
        states = ", ".join(map(str, copies)) or failure
        return TooFewCopies(
            f"{cid} has {held(copies)} of {self.copies} copies after {self.pin_s:.0f} s, says "
            f"the cluster peer at {self.cluster.url} ({states}): it stays at the IPFS node at "
            f"{self.url}; look at the peers that are named, then pin it again"
        )
