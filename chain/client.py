"""The one path of writing: simulate, sign, persist, send, wait. And what a party asks its node."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from chain.errors import (
    BadKey,
    BlockMissing,
    OutboxConflict,
    TxRefused,
    TxReverted,
    TxTimeout,
)
from chain.node import Node, RpcRefusal
from chain.outbox import LIVE, Entry, Outbox, State
from chain.types import Address, BlockNumber, Call, Receipt, Wei

MAX_GAS = 16_777_216  # EIP-7825: what one transaction may use
_FIRST_POLL_S = 0.005
_LONGEST_POLL_S = 0.25
_NO_KEY = "this party has no key and can only read: give it a keystore and a home"
_AT_ONCE = 100  # requests in one JSON-RPC batch


@dataclass
class Resumed:
    """What became of the transactions that the chain lacked: names of steps.

    `dropped` would be refused now, by the error named; whoever took the step decides anew. `stale`
    were signed after a dropped one: ask for them again, and they are signed again.
    """

    sent: list[str] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)


class Client:
    """One party's access to a chain. Without a key it reads only."""

    def __init__(
        self,
        node: Node,
        key: bytes | None = None,
        outbox: Path | None = None,
        *,
        timeout_s: float = 120,
    ) -> None:
        self.node = node
        self.timeout_s = timeout_s
        self._account: LocalAccount | None = None
        self._outbox: Outbox | None = None
        if key is not None and outbox is not None:
            self._account = _account(key)
            genesis = node.block(BlockNumber(0)).hash
            self._outbox = Outbox(outbox, genesis, self.address)

    @property
    def address(self) -> Address:
        """The account that signs."""
        return Address(self._signer.address)

    @property
    def outbox(self) -> Outbox:
        """The steps of this key. Raises BadKey for a party without a key."""
        if self._outbox is None:
            raise BadKey(_NO_KEY)
        return self._outbox

    @property
    def chain_id(self) -> int:
        """The chain's id (EIP-155)."""
        return self.node.chain_id

    def block_number(self) -> BlockNumber:
        """The newest block, to be named in every read of one step."""
        return self.node.latest()

    def block_hash(self, number: BlockNumber) -> bytes:
        """32 bytes. Raises BlockMissing."""
        return self.node.block(number).hash

    def timestamp(self) -> int:
        """The time at which a transaction sent now would be judged, in seconds."""
        try:
            return self.node.block("pending").timestamp
        except BlockMissing:
            return self.node.block("latest").timestamp

    def send(self, call: Call, *, step: str | None = None) -> Receipt:
        """Makes a call take effect, once for each step; a call without a step is made each time.

        Raises TxReverted where the contract refuses (nothing is signed then), TxRefused where the
        node does, TxTimeout, NodeDown; after any of the last two, asking again for the step goes
        on where it stopped.
        """
        step = step or f"once-{secrets.token_hex(8)}"
        with self.outbox.lock():
            entry = self._standing(call, step) or self._push(call, step)
        return self._wait(entry)

    def send_many(
        self, calls: Sequence[tuple[Call, str]]
    ) -> list[Receipt | TxReverted | TxRefused]:
        """Makes calls that do not depend on each other take effect, many in flight at once.

        Each gets its receipt or the error with which it was refused, in the order given.
        """
        results: list[Receipt | TxReverted | TxRefused] = []
        for start in range(0, len(calls), _AT_ONCE):
            results += self._send_chunk(calls[start : start + _AT_ONCE])
        return results

    def resume(self) -> Resumed:
        """Sends again, in the order of nonces, what the chain lacks; stops at the first refusal."""
        with self.outbox.lock():
            return self._resume()

    @property
    def _signer(self) -> LocalAccount:
        if self._account is None:
            raise BadKey(_NO_KEY)
        return self._account

    def _standing(self, call: Call, step: str) -> Entry | None:
        """The step's transaction if it stands, in the chain or on its way there."""
        entry = self.outbox.find(step)
        if entry is None or entry.state not in LIVE:
            return None
        if self.node.receipt(entry.hash) is None:
            self._resume()
            entry = self.outbox.find(step)
            if entry is None or entry.state not in LIVE:
                return None
        if (entry.call.to, entry.call.data) != (call.to, call.data):
            raise OutboxConflict(
                f"step {step} of {self.address} was taken with another call ({entry.call.what}): "
                "give what is new a step of its own"
            )
        return entry

    def _push(self, call: Call, step: str) -> Entry:
        nonce = self._next_nonce()
        gas = self._gas(self.node.estimate(call, sender=self.address))
        entry = self._sign(call, step, nonce, gas, self._fees())
        self.outbox.put([entry])
        self._broadcast(entry)
        return entry

    def _send_chunk(
        self, calls: Sequence[tuple[Call, str]]
    ) -> list[Receipt | TxReverted | TxRefused]:
        found: dict[int, Entry | TxReverted] = {}
        with self.outbox.lock():
            for place, (call, step) in enumerate(calls):
                if standing := self._standing(call, step):
                    found[place] = standing
            new = [place for place in range(len(calls)) if place not in found]
            nonce, fees = self._next_nonce(), self._fees()
            signed: list[Entry] = []
            for place in new:
                call, step = calls[place]
                try:
                    gas = self._gas(self.node.estimate(call, sender=self.address))
                except TxReverted as exc:
                    found[place] = exc
                    continue
                entry = self._sign(call, step, nonce + len(signed), gas, fees)
                found[place] = entry
                signed.append(entry)
            if signed:
                self.outbox.put(signed)
                self._broadcast_all(signed)
        return [self._outcome(found[place]) for place in range(len(calls))]

    def _outcome(self, found: Entry | TxReverted) -> Receipt | TxReverted | TxRefused:
        if isinstance(found, TxReverted):
            return found
        try:
            return self._wait(found)
        except (TxReverted, TxRefused) as exc:
            return exc

    def _next_nonce(self) -> int:
        pending = self.node.nonce(self.address, block="pending")
        live = self.outbox.live()
        if live and live[-1].nonce >= pending:
            self._resume()
            pending = self.node.nonce(self.address, block="pending")
        return pending

    def _gas(self, estimate: int) -> int:
        return min(estimate * 5 // 4 + 20_000, MAX_GAS)

    def _fees(self) -> dict[str, int]:
        base = self.node.block("latest").base_fee
        if base is None:
            return {"gasPrice": int(self.node.request("eth_gasPrice"), 16)}
        try:
            tip = int(self.node.request("eth_maxPriorityFeePerGas"), 16) if base else 0
        except RpcRefusal:
            tip = 0
        return {"maxFeePerGas": 2 * base + tip, "maxPriorityFeePerGas": tip}

    def _sign(self, call: Call, step: str, nonce: int, gas: int, fees: dict[str, int]) -> Entry:
        transaction: dict[str, Any] = {
            "chainId": self.chain_id,
            "nonce": nonce,
            "gas": gas,
            "data": call.data,
            "value": call.value,
            **fees,
        }
        if call.to is not None:
            transaction["to"] = call.to
        signed = self._signer.sign_transaction(transaction)
        return Entry(step, nonce, call, bytes(signed.raw_transaction), bytes(signed.hash))

    def _broadcast(self, entry: Entry) -> None:
        try:
            self.node.request("eth_sendRawTransaction", "0x" + entry.raw.hex())
        except RpcRefusal as exc:
            if self._is_known(entry):
                return
            self.outbox.mark(entry, State.DROPPED, reason=str(exc))
            raise TxRefused(
                f"{entry.call.what} of {self.address} was not taken: {exc}; if it lacks coins for "
                "gas, fund the account"
            ) from exc

    def _broadcast_all(self, entries: Sequence[Entry]) -> None:
        requests = [("eth_sendRawTransaction", ("0x" + entry.raw.hex(),)) for entry in entries]
        for entry, answer in zip(entries, self.node.batch(requests), strict=True):
            if isinstance(answer, RpcRefusal) and not self._is_known(entry):
                self.outbox.mark(entry, State.DROPPED, reason=str(answer))

    def _is_known(self, entry: Entry) -> bool:
        return self.node.request("eth_getTransactionByHash", "0x" + entry.hash.hex()) is not None

    def _wait(self, entry: Entry) -> Receipt:
        """The receipt, once it is in a block. Polls ever more seldom, up to four times a second."""
        end, pause = time.monotonic() + self.timeout_s, _FIRST_POLL_S
        while (found := self.node.receipt(entry.hash)) is None:
            self._raise_if_lost(entry)
            if time.monotonic() > end:
                raise TxTimeout(
                    f"{entry.call.what} of {self.address} is in no block after "
                    f"{self.timeout_s:.0f} s; it stays in the outbox: try again"
                )
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL_S)
        receipt, took_effect = found
        if not took_effect:
            self.outbox.mark(entry, State.REVERTED, block_hash=receipt.block_hash)
            raise self._why(entry, receipt)
        if (entry.state, entry.block_hash) != (State.DONE, receipt.block_hash):
            self.outbox.mark(entry, State.DONE, block_hash=receipt.block_hash)
        return receipt

    def _raise_if_lost(self, entry: Entry) -> None:
        now = self.outbox.find(entry.step)
        if now is not None and now.hash == entry.hash and now.state in (State.DROPPED, State.STALE):
            raise TxRefused(
                f"{entry.call.what} of {self.address} was not taken: {now.reason or now.state}"
            )

    def _why(self, entry: Entry, receipt: Receipt) -> TxReverted:
        """The error of a transaction that is in a block, from the state before that block."""
        try:
            self.node.call(entry.call, block=BlockNumber(receipt.block - 1), sender=self.address)
        except TxReverted as exc:
            return exc
        return TxReverted("Reverted", {}, entry.call.what)

    def _resume(self) -> Resumed:
        report = Resumed()
        mined = self.node.nonce(self.address, block="latest")
        for entry in self._unsettled():
            if (found := self.node.receipt(entry.hash)) is not None:
                receipt, took_effect = found
                state = State.DONE if took_effect else State.REVERTED
                self.outbox.mark(entry, state, block_hash=receipt.block_hash)
            elif report.dropped:
                self.outbox.mark(entry, State.STALE)
                report.stale.append(entry.step)
            elif entry.nonce < mined:
                self._drop(entry, "Replaced", report)
            elif not self._is_known(entry):
                self._send_again(entry, report)
        return report

    def _unsettled(self) -> list[Entry]:
        """Live transactions by nonce, but for those at or before one that is in its block still.

        A chain is a prefix of itself: what stands before a block that stands, stands.
        """
        unsure: list[Entry] = []
        for entry in reversed(self.outbox.live()):
            found = self.node.receipt(entry.hash)
            if found and found[0].block_hash == entry.block_hash:
                break
            unsure.append(entry)
        return unsure[::-1]

    def _send_again(self, entry: Entry, report: Resumed) -> None:
        try:
            gas = self._gas(self.node.estimate(entry.call, sender=self.address))
        except TxReverted as exc:
            self._drop(entry, exc.name, report)
            return
        nonce = self.node.nonce(self.address, block="pending")
        if nonce != entry.nonce:
            entry = self._sign(entry.call, entry.step, nonce, gas, self._fees())
        self.outbox.put([replace(entry, state=State.SIGNED, block_hash=None)])
        self._broadcast(entry)
        report.sent.append(entry.step)

    def _drop(self, entry: Entry, reason: str, report: Resumed) -> None:
        self.outbox.mark(entry, State.DROPPED, reason=reason)
        report.dropped[entry.step] = reason


def fund(client: Client, to: Address, wei: Wei, *, step: str | None = None) -> Receipt:
    """Sends coins for gas."""
    return client.send(Call("transfer of coins", to, b"", wei), step=step)


def _account(key: bytes) -> LocalAccount:
    try:
        account: LocalAccount = Account.from_key(key)
    except ValueError as exc:
        raise BadKey("not a private key of 32 bytes: give another") from exc
    return account
