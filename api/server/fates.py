"""What became of a message: by the chain's word where it shows there, else by the relayer's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum

from pydantic import Field

from api.server.desk import Desk, Left
from api.server.text import Answer, BlockNo, Digest, Seconds, shown
from api.server.workers import View
from chain.consent_events import GrantSkipped, RevokeSkipped
from chain.consent_types import Consent, consent_id
from chain.outbox import LIVE, State
from chain.types import Address, AgreementId, ConsentId, Receipt
from federated.mail import Mail


class Status(StrEnum):
    """pending: left; sent: in a transaction; done: took effect; refused: it cannot any more."""

    PENDING = "pending"
    SENT = "sent"
    DONE = "done"
    REFUSED = "refused"


class Fate(Answer):
    """What became of a message."""

    receipt: str = Field(
        title="Receipt",
        description="CID of the message in the store; the same message has the same receipt.",
        examples=["bafyreifqwkmiw256ojf2zws6tzjeonw6bpd5vza4i22ccpcq4hjv2ts7cm"],
    )
    kind: str = Field(title="Kind", examples=["revocations"])
    status: Status = Field(title="Status", description=Status.__doc__)
    deadline: Seconds = Field(title="Deadline", description="After it, it cannot take effect.")
    transaction: Digest | None = Field(
        title="Transaction", description="By which this relayer sent it; null: it did not yet."
    )
    block: BlockNo | None = Field(title="Block", description="At which it took effect.")
    why: str | None = Field(title="Why", description="It was refused; null where it was not.")


def fate_of(desk: Desk, view: View, left: Left) -> Fate:
    """The fate of a message at the view's block."""
    mail = left.mail
    entry = desk.transaction(mail)
    block = _EFFECTS[mail.kind](view, mail)
    why = None if block is not None else _refused(desk, view, left)
    if block is not None:
        status = Status.DONE
    elif why is not None:
        status = Status.REFUSED
    else:
        status = Status.SENT if entry and entry.state in LIVE else Status.PENDING
    return Fate(
        receipt=str(mail.cid),
        kind=mail.kind,
        status=status,
        deadline=left.deadline,
        transaction=shown(entry.hash) if entry else None,
        block=block or None,
        why=why,
    )


def _refused(desk: Desk, view: View, left: Left) -> str | None:
    entry = desk.transaction(left.mail)
    if entry is not None and entry.state is State.DONE:
        found = view.chain.client.node.receipt(entry.hash)
        if found is not None and (why := _skipped(view, found[0])):
            return f"the contract skipped it: {why}"
    if view.chain.client.node.block(view.block).timestamp > left.deadline:
        return "it expired: its deadline passed before it took effect; sign anew"
    if desk.refusal(left.mail) is not None:
        return "the contract refuses it as it is: look up the consent, and sign anew"
    return None


def _skipped(view: View, receipt: Receipt) -> str:
    consents = view.chain.consents
    events: Sequence[GrantSkipped | RevokeSkipped] = (
        *consents.in_receipt(GrantSkipped, receipt),
        *consents.in_receipt(RevokeSkipped, receipt),
    )
    return ", ".join(sorted({event.reason.name.lower().replace("_", " ") for event in events}))


def _slot(view: View, consent: bytes) -> Consent:
    return view.chain.consents.consent(ConsentId(consent), block_identifier=view.block)


def _all(blocks: Sequence[int]) -> int | None:
    return max(blocks) if blocks and all(blocks) else None


def _revocations(view: View, mail: Mail) -> int | None:
    ids = [consent_id(Address(m[0]), AgreementId(m[1]), m[2]) for m in mail.body["messages"]]
    return _all([_slot(view, consent).revoked for consent in ids])


def _grants(view: View, mail: Mail) -> int | None:
    return _all([_slot(view, message[0]).granted for message in mail.body["messages"]])


def _grant(view: View, mail: Mail) -> int | None:
    return _slot(view, mail.body["id"]).granted or None


def _first(view: View, mail: Mail, agreement: int) -> Consent:
    """A key's first consent holds the marks of what was paid."""
    return _slot(view, consent_id(Address(mail.body["key"]), AgreementId(agreement), 0))


def _claim(view: View, mail: Mail) -> int | None:
    agreement = _slot(view, mail.body["leaf"][1]).agreement
    return 0 if _first(view, mail, agreement).paid else None


def _bonus(view: View, mail: Mail) -> int | None:
    return 0 if _first(view, mail, mail.body["agreement"]).bonus_paid else None


def _cancellation(view: View, mail: Mail) -> int | None:
    key, offer = Address(mail.body["key"]), mail.body["offer"]
    return view.chain.agreements.cancelled_at(key, offer, block_identifier=view.block) or None


def _never(_view: View, _mail: Mail) -> int | None:
    """The center answers by opening a tier, which names nobody."""
    return None


_EFFECTS: dict[str, Callable[[View, Mail], int | None]] = {
    "revocations": _revocations,
    "grants": _grants,
    "grant": _grant,
    "claim": _claim,
    "bonus": _bonus,
    "cancellation": _cancellation,
    "counter-offer": _never,
}
"""The block at which a message took effect; 0 where it did and the block is not looked up."""
