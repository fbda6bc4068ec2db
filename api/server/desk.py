"""The relayer's desk: where messages are left, once each, and what became of them.

It writes to the store alone; `consilium relay` or `serve --relay` sends what lies there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from api.home import Home
from api.outbox import keep_place, outbox_of
from chain.deploy import Deployment
from chain.outbox import Entry, Outbox
from chain.types import Address
from federated.canonical import tagged_hash
from federated.journal import Journal
from federated.mail import Mail, mail_for
from federated.relayer import step_of
from storage.cid import Cid
from storage.store import BlockStore, get_record

_TAG = "consilium/api-message/1"


@dataclass(frozen=True, slots=True)
class Left:
    """A message that was left: when it expires (seconds), and what it says."""

    mail: Mail
    deadline: int


class Desk:
    """Over the relayer's home: its outbox and journal are read, a folder beside them is written."""

    def __init__(self, home: Home, deployment: Deployment) -> None:
        self.relayer: Address = home.address()
        self._sent = Journal(home.path / "journal")
        self._own = Journal(home.path / "api")
        self._outbox = Outbox(outbox_of(home.path), deployment.genesis, self.relayer)
        keep_place(home.path, self._outbox)

    def leave(self, kind: str, message: str, deadline: int, deliver: Callable[[], Cid]) -> Cid:
        """Deliver a message unless it was; its receipt. After a crash it is delivered again."""
        name = f"message-{tagged_hash(_TAG, kind, message).hex()}"
        if (found := self._own.get(name)) is not None:
            return Cid.parse(found["receipt"])
        cid = deliver()
        self._own.put(_receipt(cid), {"kind": kind, "deadline": deadline})
        self._own.put(name, {"receipt": str(cid)})
        return cid

    def find(self, store: BlockStore, receipt: Cid) -> Left | None:
        """A message that was left here."""
        found = self._own.get(_receipt(receipt))
        if found is None:
            return None
        tree = get_record(store, receipt.digest)
        return Left(Mail(receipt, found["kind"], tree["body"]), found["deadline"])

    def refusal(self, mail: Mail) -> str | None:
        """Why the relayer gave it up; None where it did not."""
        found = self._sent.get(step_of(mail))
        return found["refused"] if found else None

    def transaction(self, mail: Mail) -> Entry | None:
        """The transaction that carries it, once it is signed."""
        return self._outbox.find(step_of(mail))

    def waiting(self, store: BlockStore) -> int:
        """Messages that the relayer has not concluded."""
        return sum(self._sent.get(step_of(mail)) is None for mail in mail_for(store, self.relayer))

    def close(self) -> None:
        """Close the outbox's database."""
        self._outbox.close()


def _receipt(cid: Cid) -> str:
    return f"receipt-{cid.digest.hex()}"
