"""Signs, persists, sends, waits, and sends again: the transactions of one key."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import rlp  # type: ignore[import-untyped]
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from chain.clock import MINE_EVERY_S, Clock
from chain.errors import OutboxConflict, TxRefused, TxReverted, TxTimeout
from chain.node import Node
from chain.outbox import LIVE, Entry, Outbox, State
from chain.refusal import RpcRefusal
from chain.signer import Signer
from chain.types import BlockNumber, Call, Receipt

MAX_GAS = 16_777_216  # EIP-7825: what one transaction may use
_HALF_BLOCK = 15_000_000
STUCK_S = 15.0  # in no block for so long: does it offer enough?
_FIRST_POLL_S = 0.005
_LONGEST_POLL_S = 0.25


@dataclass
class Resumed:
    """What became of the transactions that the chain lacked: names of steps.

    `dropped` would be refused now, by the error named; whoever took the step decides anew. `stale`
    were signed after a dropped one: ask for them again, and they are signed again.
    """

    sent: list[str] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)


class Sender:
    """Whoever calls holds the outbox's lock, but for `wait`."""

    def __init__(self, node: Node, signer: Signer, outbox: Outbox) -> None:
        self.node = node
        self.outbox = outbox
        self.signer = signer
        self.address = signer.address
        self.stuck_s = STUCK_S
        self._alike: dict[tuple[Any, ...], int] = {}

    def standing(self, call: Call, step: str) -> Entry | None:
        """The step's transaction if it stands, in the chain or on its way there."""
        entry = self.outbox.find(step)
        if entry is None or entry.state not in LIVE:
            return None
        if self._receipt(entry) is None:
            self.resume()
            entry = self.outbox.find(step)
            if entry is None or entry.state not in LIVE:
                return None
        if (entry.call.to, entry.call.data) != (call.to, call.data):
            raise OutboxConflict(
                f"step {step} of {self.address} was taken with another call ({entry.call.what}): "
                "give what is new a step of its own"
            )
        return entry

    def push(self, call: Call, step: str) -> Entry:
        """Simulates, signs, persists and sends; raises TxReverted or TxRefused."""
        nonce = self._next_nonce()
        gas = self._gas(self.node.estimate(call, sender=self.address))
        entry = self._sign(call, step, nonce, gas, self._fees())
        self.outbox.put([entry])
        self._broadcast(entry)
        return entry

    def push_all(
        self, calls: Sequence[tuple[Call, str]], alike: bool = False
    ) -> list[Entry | TxReverted | TxRefused]:
        """Signs and sends calls that do not depend on each other; refused ones are left out."""
        found: list[Entry | TxReverted | TxRefused] = []
        nonce, fees = self._next_nonce(), self._fees()
        signed: list[Entry] = []
        gases: list[int] = []
        estimates = self._estimates([call for call, _ in calls], alike)
        for (call, step), estimate in zip(calls, estimates, strict=True):
            if not isinstance(estimate, int):
                found.append(self._refusal(call, estimate))
                continue
            gases.append(self._gas(estimate))
            signed.append(self._sign(call, step, nonce + len(signed), gases[-1], fees))
            found.append(signed[-1])
        if signed:
            self.outbox.put(signed)
            for part in _half_blocks(signed, gases):
                self._broadcast_all(part)
        return found

    def refusals(self, calls: Sequence[Call]) -> list[TxReverted | TxRefused | None]:
        """Why each of a few calls would be refused now, on its own; signs and sends nothing."""
        answers = self.node.estimates(calls, sender=self.address)
        return [
            None if isinstance(answer, int) else self._refusal(call, answer)
            for call, answer in zip(calls, answers, strict=True)
        ]

    def _refusal(self, call: Call, why: TxReverted | RpcRefusal) -> TxReverted | TxRefused:
        if isinstance(why, TxReverted):
            return why
        # Some nodes refuse to estimate what would exceed a block: the others go on.
        return TxRefused(f"{call.what} of {self.address} was not taken: {why}")

    def _estimates(self, calls: Sequence[Call], alike: bool) -> list[int | TxReverted | RpcRefusal]:
        """What each call needs, or why it is refused. An estimate costs a node ten simulations.

        Calls of one function with as many bytes need about the same: the first is estimated, the
        others are simulated with what it gets (not where they are `alike`), and estimated
        themselves where that fails. What an `alike` one needed holds for all that come later.
        """
        firsts: dict[tuple[Any, ...], int] = {}
        like = [firsts.setdefault(_shape(call), place) for place, call in enumerate(calls)]
        before = {x: self._alike.get(_shape(calls[x])) for x in set(like) if alike}
        known = {place: needed for place, needed in before.items() if needed}
        found = {**known, **self._estimated(calls, set(like) - set(known))}
        if alike:
            sure = ((place, needed) for place, needed in found.items() if isinstance(needed, int))
            self._alike.update((_shape(calls[place]), needed) for place, needed in sure)
        others = {
            place: gas
            for place, first in enumerate(like)
            if place != first and isinstance(gas := found[first], int)
        }
        tried = [(calls[place], self._gas(gas)) for place, gas in others.items()]
        enough = [True] * len(tried) if alike else self.node.suffices(tried, sender=self.address)
        found |= {place: others[place] for place, ok in zip(others, enough, strict=True) if ok}
        found |= self._estimated(calls, set(range(len(calls))) - set(found))
        return [found[place] for place in range(len(calls))]

    def _estimated(
        self, calls: Sequence[Call], places: set[int]
    ) -> dict[int, int | TxReverted | RpcRefusal]:
        if not (asked := sorted(places)):
            return {}
        answers = self.node.estimates([calls[place] for place in asked], sender=self.address)
        return dict(zip(asked, answers, strict=True))

    def _next_nonce(self) -> int:
        pending = self.node.nonce(self.address, block="pending")
        live = self.outbox.live()
        if live and live[-1].nonce >= pending:
            self.resume()
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
            "chainId": self.node.chain_id,
            "nonce": nonce,
            "gas": gas,
            "data": call.data,
            "value": call.value,
            **fees,
        }
        if call.to is not None:
            transaction["to"] = call.to
        raw, digest = self.signer.sign(transaction)
        return Entry(step, nonce, call, raw, digest)

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
        # One by one: a node may take the parts of a batch in any order, and anvil then leaves a
        # transaction that came before its predecessor in its pool.
        with Clock(self.node).holding():
            for entry in entries:
                try:
                    self.node.request("eth_sendRawTransaction", "0x" + entry.raw.hex())
                except RpcRefusal as exc:
                    if not self._is_known(entry):
                        self.outbox.mark(entry, State.DROPPED, reason=str(exc))

    def collect(self, entries: Sequence[Entry]) -> dict[bytes, Receipt]:
        """Receipts of those that took effect by now, by hash; asked for and recorded at once."""
        receipts = self.node.receipts([entry.hash for entry in entries])
        found = {item[0].transaction: item[0] for item in receipts if item and item[1]}
        fresh = [(x, found[x.hash].block_hash) for x in entries if x.hash in found]
        self.outbox.mark_done([(x, block) for x, block in fresh if x.block_hash != block])
        return found

    def _is_known(self, entry: Entry) -> bool:
        """Whether the node has one of the step's transactions, in a block or waiting."""
        asked = ("0x" + item.hex() for item in entry.hashes)
        return any(self.node.request("eth_getTransactionByHash", x) is not None for x in asked)

    def wait(self, entry: Entry, timeout_s: float) -> Receipt:
        """The receipt, once it is in a block. Polls ever more seldom, up to four times a second.

        anvil was seen to leave the rest of a batch in its pool: it gets a nudge each second.
        """
        end, pause = time.monotonic() + timeout_s, _FIRST_POLL_S
        nudge_at = time.monotonic() + MINE_EVERY_S
        raise_at, turns = time.monotonic() + self.stuck_s, self.node.turns
        while (found := self._receipt(entry)) is None:
            entry = self._raise_if_lost(entry)
            if time.monotonic() > raise_at or self.node.turns != turns:
                self._push_on()
                raise_at, turns = time.monotonic() + self.stuck_s, self.node.turns
            if time.monotonic() > end:
                raise TxTimeout(
                    f"{entry.call.what} of {self.address} is in no block after "
                    f"{timeout_s:.0f} s; it stays in the outbox: try again"
                )
            if time.monotonic() > nudge_at:
                Clock(self.node).nudge()
                nudge_at = time.monotonic() + MINE_EVERY_S
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL_S)
        receipt, took_effect = found
        if not took_effect:
            self.outbox.mark(entry, State.REVERTED, block_hash=receipt.block_hash)
            raise self._why(entry, receipt)
        if (entry.state, entry.block_hash) != (State.DONE, receipt.block_hash):
            self.outbox.mark(entry, State.DONE, block_hash=receipt.block_hash)
        return receipt

    def _push_on(self) -> None:
        """What waits may have died with a node, wait at one that is cut off, or pay too little."""
        self.node.look_further()
        self.raise_fees()  # first: a node refuses to take again what pays too little
        with self.outbox.lock():
            self.resume()

    def _raise_if_lost(self, entry: Entry) -> Entry:
        """The entry as it is now: another process may have raised its fee."""
        now = self.outbox.find(entry.step)
        if now is None or entry.hash not in now.hashes:
            return entry
        if now.state in (State.DROPPED, State.STALE):
            raise TxRefused(
                f"{entry.call.what} of {self.address} was not taken: {now.reason or now.state}"
            )
        return now

    def raise_fees(self) -> list[str]:
        """Signs anew, at the same nonces, what no block takes at its fee; the steps that it was.

        Nodes take a replacement that offers an eighth more; the same call at the same nonce has
        one effect, whichever of its transactions is mined. All their hashes are kept.
        """
        raised = []
        with self.outbox.lock():
            base = self.node.block("latest").base_fee
            mined = self.node.nonce(self.address, block="latest")
            for entry in self.outbox.live():
                if entry.nonce < mined or not (fees := self._raised(entry, base)):
                    continue
                gas = int(decoded(entry.raw)["gas"])
                again = self._sign(entry.call, entry.step, entry.nonce, gas, fees)
                self.outbox.put([replace(again, earlier=entry.hashes)])
                with contextlib.suppress(RpcRefusal):  # one that is mined meanwhile needs no other
                    self.node.request("eth_sendRawTransaction", "0x" + again.raw.hex())
                raised.append(entry.step)
        return raised

    def _raised(self, entry: Entry, base: int | None) -> dict[str, int]:
        """Higher fees for what offers less than a block asks; none where it offers enough."""
        offered = decoded(entry.raw)
        if base is None or offered.get("maxFeePerGas", base) >= base:
            return {}
        fees = self._fees()
        return {name: max(value, offered[name] * 9 // 8 + 1) for name, value in fees.items()}

    def _receipt(self, entry: Entry) -> tuple[Receipt, bool] | None:
        """The receipt of whichever of the step's transactions is in a block."""
        found = (self.node.receipt(item) for item in entry.hashes)
        return next((receipt for receipt in found if receipt is not None), None)

    def _why(self, entry: Entry, receipt: Receipt) -> TxReverted:
        """The error of a transaction that is in a block, from the state before that block."""
        try:
            self.node.call(entry.call, block=BlockNumber(receipt.block - 1), sender=self.address)
        except TxReverted as exc:
            return exc
        return TxReverted("Reverted", {}, entry.call.what)

    def resume(self) -> Resumed:
        """Sends again what the chain lacks, by nonce; stops at the first refusal."""
        report = Resumed()
        mined = self.node.nonce(self.address, block="latest")
        for entry in self._unsettled():
            if (found := self._receipt(entry)) is not None:
                receipt, took_effect = found
                state = State.DONE if took_effect else State.REVERTED
                self.outbox.mark(entry, state, block_hash=receipt.block_hash)
            elif report.dropped:
                self.outbox.mark(entry, State.STALE)
                report.stale.append(entry.step)
            elif self._is_known(entry):
                continue  # anvil counts a transaction before it shows it in its block
            elif entry.nonce < mined:
                self._drop(entry, "Replaced", report)
            else:
                self._send_again(entry, report)
        return report

    def _unsettled(self) -> list[Entry]:
        """Live transactions by nonce, but for those at or before one that is in its block still.

        A chain is a prefix of itself: what stands before a block that stands, stands.
        """
        unsure: list[Entry] = []
        for entry in reversed(self.outbox.live()):
            found = self._receipt(entry)
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


def decoded(raw: bytes) -> dict[str, Any]:
    """A signed transaction's fields; of one without a type the gas alone."""
    if raw[0] > 0x7F:
        return {"gas": int.from_bytes(rlp.decode(raw)[2], "big")}
    found: dict[str, Any] = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
    return found


def _shape(call: Call) -> tuple[Any, ...]:
    return call.to, call.data[:4], len(call.data), call.value


def _half_blocks(entries: Sequence[Entry], gases: Sequence[int]) -> Iterator[Sequence[Entry]]:
    """Entries in parts that fill half a block at most: fuller ones would raise the base fee.

    anvil drops from its pool what no longer pays it.
    """
    start, total = 0, 0
    for place, gas in enumerate(gases):
        if total and total + gas > _HALF_BLOCK:
            yield entries[start:place]
            start, total = place, 0
        total += gas
    yield entries[start:]
