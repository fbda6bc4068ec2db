"""What the wrappers share: a read names its block and gives dataclasses, a write is a `Call`."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from chain import abi
from chain.client import Client
from chain.types import Address, BlockNumber, Call, Receipt

T = TypeVar("T")

build = abi.from_abi
plain = abi.to_abi


class Contract:
    """One deployed contract, as one party reaches it; `born` is the block of its deployment.

    `events` names the dataclass of each event: its parameters in order, then where it stands.
    """

    name: ClassVar[str]
    events: ClassVar[dict[str, type]] = {}

    def __init__(self, client: Client, address: Address, born: BlockNumber) -> None:
        self.client = client
        self.address = address
        self.born = born
        self._abi = abi.load(self.name)

    def in_receipt(self, kind: type[T], receipt: Receipt) -> list[T]:
        """Events of one kind that a transaction left, in order."""
        topic = self._abi.events[kind.__name__].hash
        return [
            self._abi.decode_event(kind, log)
            for log in receipt.logs
            if log.address == self.address and log.topics[0] == topic
        ]

    def _call(self, function: str, *arguments: Any) -> Call:
        data = self._abi.encode_call(function, arguments)
        return Call(f"{self.name}.{function}", self.address, data)

    def _read(
        self, block_identifier: BlockNumber, function: str, *arguments: Any
    ) -> tuple[Any, ...]:
        call = self._call(function, *arguments)
        answer = self.client.node.call(call, block=block_identifier)
        return self._abi.decode_result(function, answer)

    def _find(
        self, kind: type[T], from_block: BlockNumber, to_block: BlockNumber, **indexed: Any
    ) -> list[T]:
        """Events in a range of blocks, in order; indexed parameters that are None match all."""
        logs = self.client.node.logs(
            self.address,
            self._abi.topics(kind.__name__, indexed),
            from_block=max(from_block, self.born),
            to_block=to_block,
        )
        return [self._abi.decode_event(kind, log) for log in logs]
