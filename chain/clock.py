"""The chain's time, and waiting for it. Development chains mine on demand and can be moved on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from chain.errors import NotDevelopment, TxTimeout
from chain.node import Node
from chain.types import BlockNumber

T = TypeVar("T")

MINE_EVERY_S = 1.0
_POLL_S = 0.1
_DEVELOPMENT = ("anvil", "hardhat")


class Clock:
    """One node's clock."""

    def __init__(self, node: Node) -> None:
        self.node = node
        version = str(node.request("web3_clientVersion")).lower()
        self.is_development = version.startswith(_DEVELOPMENT)
        self._holds = version.startswith("anvil")  # Hardhat does not tell what waits

    def now(self) -> int:
        """The time at which a transaction sent now would be judged, in seconds."""
        return self.node.block("pending").timestamp

    def nudge(self) -> None:
        """A block on a development chain, which mines on demand and overlooks some of it."""
        if self.is_development:
            self.node.request("evm_mine")

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """On anvil nothing is mined within; then all that waits is, in few blocks.

        A block for each of thousands of transactions costs such a chain minutes. If this process
        dies within, the chain goes on by nudges, and by itself after the next `holding`.
        """
        if not self._holds:
            yield
            return
        self.node.request("evm_setAutomine", False)
        try:
            yield
        finally:
            self._mine_waiting()
            self.node.request("evm_setAutomine", True)

    def _mine_waiting(self) -> None:
        before = None
        while (waiting := int(self.node.request("txpool_status")["pending"], 16)) != before:
            if not waiting:
                return
            self.node.request("evm_mine")
            before = waiting  # unless it shrinks, the rest waits for something else

    def advance(self, seconds: int) -> None:
        """Moves a development chain's time on and mines; raises NotDevelopment elsewhere."""
        if not self.is_development:
            raise NotDevelopment(
                f"{self.node.name} is no development chain, whose time could be moved: wait"
            )
        self.node.request("evm_increaseTime", hex(seconds))
        self.node.request("evm_mine")

    def advance_to(self, timestamp: int) -> None:
        """Moves a development chain on until `timestamp` has come."""
        if (missing := timestamp - self.now()) > 0:
            self.advance(missing)

    def sleep_until(self, timestamp: int, *, timeout_s: float) -> None:
        """Waits until the chain's newest block is at `timestamp` or later; raises TxTimeout."""
        self.wait_for(
            lambda: self.node.block("latest").timestamp >= timestamp or None,
            what=f"the chain's time {timestamp}",
            timeout_s=timeout_s,
        )

    def wait_for(
        self,
        ready: Callable[[], T | None],
        *,
        what: str,
        timeout_s: float,
        poll_s: float = _POLL_S,
        pause: Callable[[float], object] = time.sleep,
    ) -> T:
        """What `ready` gives once it gives something; raises TxTimeout, which names `what`.

        `pause` may return before `poll_s` is over, as `Bell.wait` does.

        A chain that mines on demand stands still while everybody waits: here it gets a block a
        second, unless someone else made one.
        """
        end = time.monotonic() + timeout_s
        seen, mine_at = self.node.latest(), time.monotonic() + MINE_EVERY_S
        while (found := ready()) is None:
            if time.monotonic() > end:
                raise TxTimeout(f"waited {timeout_s:.0f} s at {self.node.name} for {what}")
            pause(poll_s)
            if self.is_development and time.monotonic() >= mine_at:
                seen = self._mine_if_still(seen)
                mine_at = time.monotonic() + MINE_EVERY_S
        return found

    def _mine_if_still(self, seen: BlockNumber) -> BlockNumber:
        if self.node.latest() == seen:
            self.node.request("evm_mine")
        return self.node.latest()
