"""The one path of writing: simulate, sign, persist, send, wait. And what a party asks its node."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

from chain.errors import BadKey, BlockMissing, TxRefused, TxReverted
from chain.node import Node
from chain.outbox import Entry, Outbox
from chain.sender import Resumed, Sender
from chain.signer import KeySigner, Signer
from chain.typed_data import Domain, Message
from chain.types import Address, BlockNumber, Call, Receipt, Wei

_AT_ONCE = 100  # transactions in flight


class Client:
    """One party's access to a chain. Without a key, or a signer that keeps it, it reads only."""

    def __init__(
        self,
        node: Node,
        key: bytes | Signer | None = None,
        outbox: Path | str | None = None,
        *,
        timeout_s: float = 120,
    ) -> None:
        self.node = node
        self.timeout_s = timeout_s
        self._sender: Sender | None = None
        if key is not None and outbox is not None:
            signer = KeySigner(key) if isinstance(key, bytes) else key
            genesis = node.block(BlockNumber(0)).hash
            self._sender = Sender(node, signer, Outbox(outbox, genesis, signer.address))

    @property
    def sender(self) -> Sender:
        """Signs and sends. Raises BadKey for a party without a key."""
        if self._sender is None:
            raise BadKey("this party has no key and can only read: give it a keystore and a home")
        return self._sender

    @property
    def address(self) -> Address:
        """The account that signs."""
        return self.sender.address

    @property
    def outbox(self) -> Outbox:
        """The steps of this key."""
        return self.sender.outbox

    @property
    def chain_id(self) -> int:
        """The chain's id (EIP-155)."""
        return self.node.chain_id

    def sign(self, message: Message, domain: Domain) -> bytes:
        """The account's signature of a message: 65 bytes r ‖ s ‖ v. Raises KeyFailure."""
        return self.sender.signer.sign_message(message, domain)

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
            entry = self.sender.standing(call, step) or self.sender.push(call, step)
        return self.sender.wait(entry, self.timeout_s)

    def send_many(
        self, calls: Sequence[tuple[Call, str]], *, alike: bool = False
    ) -> list[Receipt | TxReverted | TxRefused]:
        """Makes calls that do not depend on each other take effect, many in flight at once.

        Each gets its receipt or the error with which it was refused, in the order given. `alike`
        is for batches that the caller has checked, whose contract skips what it refuses: of calls
        of one function and size the first alone is simulated.
        """
        results: list[Receipt | TxReverted | TxRefused] = []
        for start in range(0, len(calls), _AT_ONCE):
            results += self._send_chunk(calls[start : start + _AT_ONCE], alike)
        return results

    def refusals(self, calls: Sequence[Call]) -> list[TxReverted | TxRefused | None]:
        """Why each call would be refused if it alone were sent now; None where it would not be."""
        found: list[TxReverted | TxRefused | None] = []
        for start in range(0, len(calls), _AT_ONCE):
            found += self.sender.refusals(calls[start : start + _AT_ONCE])
        return found

    def resume(self) -> Resumed:
        """Sends again, in the order of nonces, what the chain lacks; stops at the first refusal.

        Returns when all that was sent is in blocks; raises TxTimeout, NodeDown.
        """
        with self.outbox.lock():
            report = self.sender.resume()
            sent = [entry for entry in self.outbox.live() if entry.step in report.sent]
        for entry in sent:
            try:
                self.sender.wait(entry, self.timeout_s)
            except TxReverted as exc:
                report.sent.remove(entry.step)
                report.dropped[entry.step] = exc.name
        return report

    def _send_chunk(
        self, calls: Sequence[tuple[Call, str]], alike: bool
    ) -> list[Receipt | TxReverted | TxRefused]:
        with self.outbox.lock():
            taken = self.outbox.taken([step for _, step in calls])
            found: list[Entry | TxReverted | TxRefused | None] = [
                self.sender.standing(call, step) if step in taken else None for call, step in calls
            ]
            new = [place for place, entry in enumerate(found) if entry is None]
            pushed = self.sender.push_all([calls[place] for place in new], alike)
            for place, entry in zip(new, pushed, strict=True):
                found[place] = entry
        done = self.sender.collect([entry for entry in found if isinstance(entry, Entry)])
        return [
            done.get(entry.hash) or self._outcome(entry) if isinstance(entry, Entry) else entry
            for entry in found
            if entry is not None
        ]

    def _outcome(self, entry: Entry) -> Receipt | TxReverted | TxRefused:
        try:
            return self.sender.wait(entry, self.timeout_s)
        except (TxReverted, TxRefused) as exc:
            return exc


def fund(client: Client, to: Address, wei: Wei, *, step: str | None = None) -> Receipt:
    """Sends coins for gas."""
    return client.send(Call("transfer of coins", to, b"", wei), step=step)
