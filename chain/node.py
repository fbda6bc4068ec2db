"""Asks a node over JSON-RPC. Every read names its block; every failure is an error of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from eth_utils.address import to_checksum_address

from chain import abi
from chain.endpoints import Endpoints
from chain.errors import BlockMissing, NodeDown, TxReverted, WrongChain
from chain.refusal import RpcRefusal, message_of
from chain.types import Address, Block, BlockId, BlockNumber, Call, Json, Log, Receipt, Wei

LOG_RANGE = 10_000  # blocks asked for at once, until the node refuses
_UNKNOWN_BLOCK = ("not found", "out of range", "outofrange", "unknown block", "missing trie")


class Node:
    """A node's RPC address, or several of one chain with commas between them (`Endpoints`).

    `chain_id`, where given, must be the node's.
    """

    def __init__(self, url: str, *, chain_id: int | None = None, timeout_s: float = 30) -> None:
        self.addresses = url
        """As given, with what is secret of them: for no message."""
        self._endpoints = Endpoints(url, timeout_s)
        self.chain_id = int(self.request("eth_chainId"), 16)
        if chain_id not in (None, self.chain_id):
            raise WrongChain(
                f"{self.name} serves chain {self.chain_id}, not {chain_id}: correct the address"
            )

    @property
    def name(self) -> str:
        """The address, as it may stand in a message."""
        return self._endpoints.name

    @property
    def turns(self) -> int:
        """How often another address took over."""
        return self._endpoints.turns

    def look_further(self) -> None:
        """Goes to another address where this one's chain stands still and the other's does not."""
        self._endpoints.look_further()

    def request(self, method: str, *params: Any) -> Any:
        """The result of one JSON-RPC method; raises NodeDown or RpcRefusal."""
        answer = self._post({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        if not isinstance(answer, dict):
            raise NodeDown(f"{self.name} answers no JSON-RPC: correct the address")
        if error := answer.get("error"):
            raise RpcRefusal(f"{method} at {self.name}: {message_of(error)}", error)
        return answer.get("result")

    def batch(self, asked: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Results of several methods in one request, in order; a RpcRefusal where one failed.

        A node that answers no batches is asked for one after the other.
        """
        body: Any = [
            {"jsonrpc": "2.0", "id": i, "method": method, "params": list(params)}
            for i, (method, params) in enumerate(asked)
        ]
        try:
            answers = {item["id"]: item for item in self._post(body)}
            ordered = [answers[i] for i in range(len(body))]
        except (NodeDown, KeyError, TypeError):
            return [self.answer(method, *params) for method, params in asked]
        return [
            RpcRefusal(f"{method} at {self.name}: {message_of(item['error'])}", item["error"])
            if item.get("error")
            else item.get("result")
            for (method, _), item in zip(asked, ordered, strict=True)
        ]

    def _post(self, body: Any) -> Any:
        return self._endpoints.post(body)

    def answer(self, method: str, *params: Any) -> Any:
        """The result of one method, or the RpcRefusal with which the node refused it."""
        try:
            return self.request(method, *params)
        except RpcRefusal as exc:
            return exc

    def call(self, call: Call, *, block: BlockId, sender: Address | None = None) -> bytes:
        """What a call returns in the state at the end of a block; raises TxReverted."""
        try:
            answer = self.request("eth_call", _transaction(call, sender), _block(block))
        except RpcRefusal as exc:
            self._raise(exc, call, block)
        return bytes.fromhex(answer[2:])

    def estimate(self, call: Call, *, sender: Address) -> int:
        """Gas that a call needs on top of what is pending; raises TxReverted."""
        try:
            gas = self.request("eth_estimateGas", _transaction(call, sender), "pending")
        except RpcRefusal as exc:
            self._raise(exc, call, "pending")
        return int(gas, 16)

    def estimates(
        self, calls: Sequence[Call], *, sender: Address
    ) -> list[int | TxReverted | RpcRefusal]:
        """What `estimate` gives for each, or the error it raises, in one request."""
        answers = self.batch(
            [("eth_estimateGas", [_transaction(call, sender), "pending"]) for call in calls]
        )
        return [
            (_reverted(answer, call) or answer)
            if isinstance(answer, RpcRefusal)
            else int(answer, 16)
            for call, answer in zip(calls, answers, strict=True)
        ]

    def suffices(self, calls: Sequence[tuple[Call, int]], *, sender: Address) -> list[bool]:
        """Whether each call, on top of what is pending, succeeds with that gas; in one request."""
        limited = [{**_transaction(call, sender), "gas": hex(gas)} for call, gas in calls]
        answers = self.batch([("eth_call", [call, "pending"]) for call in limited])
        return [not isinstance(answer, RpcRefusal) for answer in answers]

    def block(self, block: BlockId) -> Block:
        """A block's header; raises BlockMissing."""
        if isinstance(block, bytes):
            raw = self.request("eth_getBlockByHash", "0x" + block.hex(), False)
        else:
            raw = self.request("eth_getBlockByNumber", _block(block), False)
        if raw is None:
            raise BlockMissing(f"{self.name} has no block {_shown(block)}")
        fee = raw.get("baseFeePerGas")
        # Hardhat gives its pending block no number.
        number = self.latest() + 1 if raw["number"] is None else int(raw["number"], 16)
        if block != "pending":
            self._endpoints.saw(number)
        return Block(
            number=BlockNumber(number),
            hash=bytes.fromhex((raw["hash"] or "0x")[2:]),
            timestamp=int(raw["timestamp"], 16),
            base_fee=None if fee is None else Wei(int(fee, 16)),
        )

    def latest(self) -> BlockNumber:
        """Number of the newest block: name it in the reads that follow."""
        number = BlockNumber(int(self.request("eth_blockNumber"), 16))
        self._endpoints.saw(number)
        return number

    def code(self, address: Address, *, block: BlockId) -> bytes:
        """The code at an address; empty where there is no contract."""
        return bytes.fromhex(self.request("eth_getCode", address, _block(block))[2:])

    def balance(self, address: Address, *, block: BlockId) -> Wei:
        """Coins that an account holds."""
        return Wei(int(self.request("eth_getBalance", address, _block(block)), 16))

    def nonce(self, address: Address, *, block: BlockId) -> int:
        """Transactions that an account has sent."""
        return int(self.request("eth_getTransactionCount", address, _block(block)), 16)

    def receipt(self, transaction: bytes) -> tuple[Receipt, bool] | None:
        """A mined transaction's receipt, and whether it took effect; None while it is not mined."""
        found = _receipt(transaction, self.request("eth_getTransactionReceipt", _hex(transaction)))
        if found is not None:
            self._endpoints.saw(found[0].block)
        return found

    def receipts(self, transactions: Sequence[bytes]) -> list[tuple[Receipt, bool] | None]:
        """What `receipt` gives for each, in one request; None where the node complains."""
        answers = self.batch([("eth_getTransactionReceipt", [_hex(x)]) for x in transactions])
        found = [
            None if isinstance(answer, RpcRefusal) else _receipt(transaction, answer)
            for transaction, answer in zip(transactions, answers, strict=True)
        ]
        self._endpoints.saw(max((item[0].block for item in found if item is not None), default=0))
        return found

    def logs(
        self,
        address: Address,
        topics: list[str | None],
        *,
        from_block: int,
        to_block: int,
    ) -> list[Log]:
        """Logs of a contract in a range of blocks, both ends included, in order.

        Asked for in pieces, that shrink where the node caps a range or an answer.
        """
        found: list[Log] = []
        start, size = from_block, LOG_RANGE
        while start <= to_block:
            end = min(start + size - 1, to_block)
            asked = {"address": address, "topics": topics}
            try:
                found += map(
                    _log,
                    self.request(
                        "eth_getLogs", asked | {"fromBlock": hex(start), "toBlock": hex(end)}
                    ),
                )
            except RpcRefusal:
                if end == start:
                    raise
                size = max(1, (end - start + 1) // 4)
                continue
            start = end + 1
        return found

    def _raise(self, refusal: RpcRefusal, call: Call, block: BlockId) -> NoReturn:
        """Raises what the node's refusal of a call means."""
        if reverted := _reverted(refusal, call):
            raise reverted from refusal
        if any(word in str(refusal).lower() for word in _UNKNOWN_BLOCK):
            raise BlockMissing(
                f"{self.name} cannot answer {call.what} at block {_shown(block)}: "
                "ask a node that keeps old states"
            ) from refusal
        raise refusal


def _reverted(refusal: RpcRefusal, call: Call) -> TxReverted | None:
    if refusal.revert is None:
        return None
    name, arguments = abi.decode_error(refusal.revert)
    return TxReverted(name, arguments, call.what)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _receipt(transaction: bytes, raw: Json | None) -> tuple[Receipt, bool] | None:
    if raw is None or raw.get("blockHash") is None:
        return None
    contract = raw.get("contractAddress")
    receipt = Receipt(
        transaction=transaction,
        block=BlockNumber(int(raw["blockNumber"], 16)),
        block_hash=bytes.fromhex(raw["blockHash"][2:]),
        gas_used=int(raw["gasUsed"], 16),
        contract=Address(to_checksum_address(contract)) if contract else None,
        logs=tuple(_log(log) for log in raw["logs"]),
    )
    return receipt, int(raw["status"], 16) == 1


def _transaction(call: Call, sender: Address | None) -> Json:
    found: dict[str, Any] = {"data": "0x" + call.data.hex()}
    if call.to is not None:
        found["to"] = call.to
    if sender is not None:
        found["from"] = sender
    if call.value:
        found["value"] = hex(call.value)
    return found


def _block(block: BlockId) -> Any:
    if isinstance(block, bytes):
        return {"blockHash": "0x" + block.hex()}
    return block if isinstance(block, str) else hex(block)


def _shown(block: BlockId) -> str:
    return "0x" + block.hex() if isinstance(block, bytes) else str(block)


def _log(raw: Json) -> Log:
    return Log(
        address=Address(to_checksum_address(raw["address"])),
        topics=tuple(bytes.fromhex(topic[2:]) for topic in raw["topics"]),
        data=bytes.fromhex(raw["data"][2:]),
        block=BlockNumber(int(raw["blockNumber"], 16)),
        log_index=int(raw["logIndex"], 16),
        transaction=bytes.fromhex(raw["transactionHash"][2:]),
    )
