"""What the storage benches share: bytes that no store has seen, sealing, a node, fair pairs."""

from __future__ import annotations

import gc
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Generic, TypeVar

from bench.claims import Claim, Rows, judged
from storage.artefact import Opened, open_artefact, seal
from storage.keys import Identity
from storage.kubo import KuboStore
from storage.kubo_config import Peer, swarm_key
from storage.kubo_leaves import TRANSFER_S
from storage.kubo_node import KuboNode
from storage.memory import blank
from storage.sealed import Sealed
from storage.signing import Sender, SigningKey
from storage.store import BlockStore

KIB, MIB = 1 << 10, 1 << 20
CONTEXT = bytes(32)
_TICKS = os.sysconf("SC_CLK_TCK")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parties:
    """One who seals and those who read; the first recipient's key opens."""

    sender: Sender = field(
        default_factory=lambda: Sender(secrets.token_bytes(20), SigningKey.generate())
    )
    readers: Sequence[Identity] = field(default_factory=lambda: [Identity.generate()])

    def seal(self, store: BlockStore, plaintext: bytes) -> Sealed:
        """Encrypt, add, pin and announce for all readers."""
        return seal(
            store,
            plaintext,
            kind="file",
            schema=bytes(32),
            context=CONTEXT,
            sender=self.sender,
            recipients=[reader.recipient for reader in self.readers],
        )

    def open(self, store: BlockStore, sealed: Sealed) -> Opened:
        """As the first reader."""
        return open_artefact(
            store,
            sealed.manifest_digest,
            self.readers[0],
            expected_context=CONTEXT,
            expected_signer=self.sender.signer,
        )


class Fresh:
    """Plaintexts of one size, each with another beginning in every 64 KiB: nobody has them yet."""

    def __init__(self, size: int) -> None:
        piece = os.urandom(min(size, MIB))
        self._bytes = bytearray((piece * -(-size // len(piece)))[:size])

    def __call__(self) -> bytes:
        for start in range(0, len(self._bytes), 64 * KIB):
            part = slice(start, min(start + 16, len(self._bytes)))
            self._bytes[part] = os.urandom(part.stop - part.start)
        return bytes(self._bytes)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds that passed, and seconds that processors worked for it: ours and the node's."""

    wall: float
    processor: float


@dataclass(frozen=True, slots=True)
class Pairs:
    """Costs of two sides, in turn."""

    pairs: Sequence[tuple[Cost, Cost]]

    def claim(self, name: str, limit: float, *, judge: bool) -> Claim:
        """The median of the pairs' ratios of wall time."""
        value = median(a.wall / b.wall for a, b in self.pairs)
        ours, peer = (median(pair[side].wall for pair in self.pairs) for side in (0, 1))
        return judged(name, ours, peer, "s", value, "<=", limit, judge=judge)

    def line(self, name: str) -> tuple[str, ...]:
        """A row for COST_COLUMNS."""
        sides = [[pair[side] for pair in self.pairs] for side in (0, 1)]
        wall = [median(cost.wall for cost in side) for side in sides]
        work = [median(cost.processor for cost in side) for side in sides]
        lasted = median(a.wall / b.wall for a, b in self.pairs)
        worked = median(a.processor / max(b.processor, 1 / _TICKS) for a, b in self.pairs)
        shown = (f"{x:.3f}" for x in (*wall, lasted, *work, worked))
        return name, *shown, str(len(self.pairs))


COST_COLUMNS = ("what", "ours s", "peer s", "ratio", "ours cpu s", "peer cpu s", "ratio", "pairs")


def costs(title: str, lines: Sequence[tuple[str, ...]]) -> Rows:
    """A table of `Pairs.line`."""
    return Rows(title, COST_COLUMNS, tuple(lines))


class Contest(Generic[T]):
    """Two ways to handle one thing, in turn; who begins changes from pair to pair."""

    def __init__(
        self,
        prepare: Callable[[], T],
        ours: Callable[[T], object],
        peer: Callable[[T], object],
        node_pid: int = 0,
    ) -> None:
        """`node_pid` is a process that works for either side."""
        self._prepare = prepare
        self._sides = (ours, peer)
        self._pid = node_pid

    def run(self, pairs: int) -> Pairs:
        """So many pairs, after one that does not count."""
        found: list[tuple[Cost, Cost]] = []
        for number in range(pairs + 1):
            subject = self._prepare()
            order = (0, 1) if number % 2 else (1, 0)
            cost = {side: self._cost(self._sides[side], subject) for side in order}
            found.append((cost[0], cost[1]))
        return Pairs(found[1:])

    def _cost(self, work: Callable[[T], object], subject: T) -> Cost:
        gc.collect()
        began, worked = time.perf_counter(), self._processor()
        work(subject)
        return Cost(time.perf_counter() - began, self._processor() - worked)

    def _processor(self) -> float:
        own = time.process_time()
        if not self._pid:
            return own
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return own + (int(fields[11]) + int(fields[12])) / _TICKS


@contextmanager
def lone_node(folder: Path, *, sync: bool) -> Iterator[KuboNode]:
    """A private Kubo whose flatfs waits for the disk (`sync`) or, as shipped, does not."""
    node = KuboNode(folder)
    node.create()
    own = Peer(node.peer_id, "127.0.0.1", 0)
    node.configure(own, [], swarm_key())
    file = node.repo / "config"
    config = json.loads(file.read_text("utf-8"))
    for mount in config["Datastore"]["Spec"]["mounts"]:
        child = mount.get("child", mount)
        if child["type"] == "flatfs":
            child["sync"] = sync
    file.write_text(json.dumps(config), "utf-8")
    node.launch()
    try:
        node.await_api()
        yield node
    finally:
        node.stop()


def raw_add(store: KuboStore, plaintext: bytes) -> str:
    """What anybody's `add` does: plain bytes over the RPC, pinned; its CID."""
    answer = store.rpc.upload(
        "add",
        {"quieter": "true", "progress": "false"},
        [plaintext],
        len(plaintext),
        timeout_s=TRANSFER_S,
    )
    return str(answer["Hash"])


def raw_cat(store: KuboStore, cid: str, size: int) -> bytes:
    """What anybody's `cat` gives, as fast as this machine takes it: over the same connection, and
    into the same large pages, as ours."""
    found = blank(size)
    call = store.rpc.stream("cat", {"arg": cid}, answer_s=TRANSFER_S, timeout_s=TRANSFER_S)
    with call as body:
        if body.fill(found.getbuffer(), TRANSFER_S) != size:
            raise SystemExit("the node gave another number of bytes than were added")
    return found.getvalue()
