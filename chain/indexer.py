"""Follows a chain and writes its events into an index; goes on where it stopped.

The hash of every block that matters is kept. Before each range the newest is compared with the
chain's: where it differs, the chain turned, and what stands above the last common block is
forgotten. A range is written with its blocks' hashes in one transaction, or not at all.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chain.deploy import Deployment
from chain.errors import BlockMissing, LogsDisagree, WrongChain
from chain.index import Index, Mark
from chain.node import LOG_RANGE, Node
from chain.refusal import RpcRefusal
from chain.tables import CONTRACTS, Row
from chain.types import BlockNumber, Json

_AIM = 20_000  # logs asked for at once: some 15 MB of JSON
POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an index stands: its last block, the chain's, and what the last step did."""

    block: BlockNumber
    latest: BlockNumber
    events: int
    rewound: int

    @property
    def is_done(self) -> bool:
        """Nothing is left to index for now."""
        return self.block >= self.latest


class Indexer:
    """Writes one deployment's events, as one node tells them, into an index."""

    def __init__(
        self, node: Node, deployment: Deployment, index: Index, *, at_once: int = LOG_RANGE
    ) -> None:
        """`at_once`: blocks asked for at most. Raises WrongChain where the node serves another."""
        if node.block(BlockNumber(0)).hash != deployment.genesis:
            raise WrongChain(
                f"{node.name} serves another chain than the deployment's: correct the address"
            )
        self._node = node
        self._index = index
        self._start = max(deployment.block - 1, 0)
        names = {deployment.address_of(name).lower(): name for name in CONTRACTS}
        self._addresses = list(names)
        self._tables = {
            (address, topic): table
            for address, name in names.items()
            for (contract, topic), table in index.events.items()
            if contract == name
        }
        self._size = self._most = at_once

    def follow(
        self, *, poll_s: float = POLL_S, pause: Callable[[float], object] = time.sleep
    ) -> Iterator[Progress]:
        """Steps without end; waits whenever nothing is left.

        `pause` may return before `poll_s` is over, as `Bell.wait` does.
        """
        while True:
            yield (progress := self.step())
            if progress.is_done:
                pause(poll_s)

    def catch_up(self, tell: Callable[[Progress], None] = lambda _: None) -> Progress:
        """Steps until the index has the block that is the chain's newest when this begins."""
        wanted = self._node.latest()
        while True:
            tell(progress := self.step(wanted))
            if progress.is_done:
                return progress

    def step(self, upto: BlockNumber | None = None) -> Progress:
        """Indexes one more range of blocks, not beyond `upto`; rewinds first where it must.

        Nothing is written of a range during which the chain turned: the next step reads it again.
        Two processes may step in turn.
        """
        with self._index.lock():
            return self._step(upto)

    def _step(self, upto: BlockNumber | None) -> Progress:
        base, rewound = self._common()
        latest = self._node.latest() if upto is None else min(upto, self._node.latest())
        if base.number >= latest:
            return Progress(base.number, latest, 0, rewound)
        end = BlockNumber(min(base.number + self._size, latest))
        tip = self._mark(end)
        logs, tip = self._logs(BlockNumber(base.number + 1), tip)
        if self._mark(base.number) != base or self._mark(tip.number) != tip:
            return Progress(base.number, latest, 0, rewound)
        rows, marks = self._decoded(logs, tip)
        self._index.add(rows, marks)
        return Progress(tip.number, latest, len(logs), rewound)

    def _common(self) -> tuple[Mark, int]:
        """The last known block that the chain has still, and how many blocks were forgotten."""
        tip = self._index.tip()
        if tip is None:
            start = self._mark(BlockNumber(self._start))
            self._index.add({}, [start])
            return start, 0
        if self._stands(tip):
            return tip, 0
        marks = self._index.marks()
        # A chain is a prefix of itself: halving finds where two part.
        low, high = 0, len(marks) - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._stands(marks[middle]) else (low, middle)
        self._index.rewind(marks[low - 1].number if low else BlockNumber(-1))
        common, _ = self._common() if not low else (marks[low - 1], 0)
        return common, tip.number - common.number

    def _stands(self, mark: Mark) -> bool:
        try:
            return self._mark(mark.number) == mark
        except BlockMissing:
            return False

    def _mark(self, number: BlockNumber) -> Mark:
        block = self._node.block(number)
        return Mark(block.number, block.hash)

    def _logs(self, first: BlockNumber, tip: Mark) -> tuple[list[Json], Mark]:
        """Logs up to a block, or up to an earlier one where the node caps ranges or answers."""
        while True:
            asked = {
                "address": self._addresses,
                "fromBlock": hex(first),
                "toBlock": hex(tip.number),
            }
            try:
                logs: list[Json] = self._node.request("eth_getLogs", asked)
            except RpcRefusal:
                if tip.number == first:
                    raise
                self._size = max(1, (tip.number - first + 1) // 4)
                tip = self._mark(BlockNumber(first + self._size - 1))
                continue
            if len(logs) > _AIM:
                self._size = max(1, self._size // 2)
            elif len(logs) < _AIM // 4:
                self._size = min(self._most, 2 * self._size)
            return logs, tip

    def _decoded(
        self, logs: Sequence[Json], tip: Mark
    ) -> tuple[dict[sa.Table, list[Row]], list[Mark]]:
        rows: dict[sa.Table, list[Row]] = defaultdict(list)
        hashes = {hex(tip.number): "0x" + tip.hash.hex()}
        try:
            for log in logs:
                if hashes.setdefault(log["blockNumber"], log["blockHash"]) != log["blockHash"]:
                    raise LogsDisagree(
                        f"{self._node.name} gives one block two hashes: ask it again, or another"
                    )
                event = self._tables.get((log["address"], log["topics"][0]))
                if event is None:
                    event = self._unnamed(log)
                rows[event.table] += event.rows(log)
        except (KeyError, IndexError, TypeError, ValueError) as exc:
            raise LogsDisagree(
                f"{self._node.name} gives logs of no known form: ask another node"
            ) from exc
        marks = [Mark(BlockNumber(int(n, 16)), bytes.fromhex(h[2:])) for n, h in hashes.items()]
        return rows, marks

    def _unnamed(self, log: Json) -> Any:
        """Nodes may spell an address with its checksum."""
        key = (log["address"].lower(), log["topics"][0].lower())
        if key not in self._tables:
            raise LogsDisagree(
                f"{self._node.name} gives a log that no contract here writes: ask another node"
            )
        return self._tables[key]
