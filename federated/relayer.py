"""The relayer: sends what patients and hospitals signed, and pays the gas.

It can hold a message back, and alter none: every message is judged by the contract that it is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from eth_abi.exceptions import EncodingError

from chain.challenges import Leaf
from chain.consents import GrantMessage, GrantSkipped, RevokeMessage, RevokeSkipped
from chain.errors import TxRefused, TxReverted
from chain.escrow import Claimant
from chain.rounds import Freeze
from chain.types import Address, AgreementId, Call, ConsentId, Receipt
from federated.mail import Mail, mail_for
from federated.party import Party
from federated.worth import why_no_grant, why_no_withdrawal


@dataclass(slots=True)
class Relayed:
    """What became of the mail: messages sent, and for each refused one why."""

    sent: int = 0
    refused: list[str] = field(default_factory=list)


def relay(party: Party, progress: Callable[[str], None] = lambda _: None) -> Relayed:
    """Send all mail that was not sent yet; withdrawals first. Idempotent after a kill."""
    report = Relayed()
    party.chain.client.resume()  # what was sent before, to a chain that lost it
    waiting = [
        mail
        for mail in mail_for(party.store, party.address)
        if party.journal.get(step_of(mail)) is None
    ]
    waiting.sort(key=lambda mail: (mail.kind != "revocations", mail.kind != "grants"))
    calls = []
    for mail in waiting:
        try:
            call = _call(party, mail)  # first: it finds what is no message of its kind
            why = _why_not(party, mail)
            if why is not None:
                _done(party, mail, report, f"{mail.kind} {mail.cid}: {why}")
                continue
            calls.append((mail, call))
        except (KeyError, TypeError, ValueError, IndexError, EncodingError):
            _done(party, mail, report, f"{mail.kind} {mail.cid}: not a message of that kind")
    progress(f"{len(calls)} messages")
    results = party.chain.client.send_many([(call, step_of(mail)) for mail, call in calls])
    for (mail, _), result in zip(calls, results, strict=True):
        _conclude(party, mail, result, report)
    return report


def _conclude(
    party: Party, mail: Mail, result: Receipt | TxReverted | TxRefused, report: Relayed
) -> None:
    if isinstance(result, TxRefused) or _may_change(result):
        # Want of coins, say: that tells nothing of the message, so a later pass tries again.
        report.refused.append(f"{mail.kind} {mail.cid}: {result}")
        return
    if isinstance(result, TxReverted):
        _done(party, mail, report, f"{mail.kind} {mail.cid}: {result}")
        return
    consents = party.chain.consents
    for grant in consents.in_receipt(GrantSkipped, result):
        report.refused.append(f"grant {grant.id.hex()}: {grant.reason.name.lower()}")
    for withdrawal in consents.in_receipt(RevokeSkipped, result):
        report.refused.append(f"withdrawal {withdrawal.id.hex()}: {withdrawal.reason.name.lower()}")
    _done(party, mail, report, None)


def _may_change(result: Receipt | TxReverted) -> bool:
    """Whether a claim was only sent before its time."""
    return isinstance(result, TxReverted) and result.name in _NOT_YET


def _done(party: Party, mail: Mail, report: Relayed, refusal: str | None) -> None:
    party.journal.put(step_of(mail), {"refused": refusal})
    if refusal is None:
        report.sent += 1
    else:
        report.refused.append(refusal)


def _call(party: Party, mail: Mail) -> Call:
    return _CALLS[mail.kind](party, mail.body)


def _why_not(party: Party, mail: Mail) -> str | None:
    """Why a batch is not worth its gas; other messages revert in the simulation, and cost none."""
    if party.chain.client.outbox.find(step_of(mail)) is not None:
        return None  # sent before a kill, perhaps: it may be what used its own ids
    if mail.kind == "grants":
        messages = _granted(mail.body)
        return why_no_grant(party.chain, AgreementId(mail.body["agreement"]), messages)
    if mail.kind == "revocations":
        return why_no_withdrawal(party.chain, _withdrawn(mail.body))
    return None


def _granted(body: Mapping[str, Any]) -> list[GrantMessage]:
    return [GrantMessage(ConsentId(m[0]), *m[1:]) for m in body["messages"]]


def _withdrawn(body: Mapping[str, Any]) -> list[RevokeMessage]:
    return [RevokeMessage(Address(m[0]), *m[1:]) for m in body["messages"]]


def _grants(party: Party, body: Mapping[str, Any]) -> Call:
    return party.chain.consents.grant_batch(
        AgreementId(body["agreement"]), _granted(body), body["deadline"], body["admission"]
    )


def _revocations(party: Party, body: Mapping[str, Any]) -> Call:
    return party.chain.consents.revoke_batch(_withdrawn(body))


def _claim(party: Party, body: Mapping[str, Any]) -> Call:
    index, consent, record = body["leaf"]
    return party.chain.escrow.claim_by_sig(
        Freeze(*body["freeze"]),
        Leaf(index, ConsentId(consent), record),
        body["proof"],
        Claimant(Address(body["key"]), body["nonce"]),
        Address(body["recipient"]),
        body["deadline"],
        body["signature"],
    )


def _bonus(party: Party, body: Mapping[str, Any]) -> Call:
    return party.chain.escrow.claim_bonus(
        Address(body["key"]),
        AgreementId(body["agreement"]),
        Address(body["recipient"]),
        body["deadline"],
        body["signature"],
    )


_NOT_YET = ("RoundDoesNotPay", "TooEarly")
"""Errors of Escrow that pass when the round ends or a window opens."""

_CALLS: dict[str, Callable[[Party, Mapping[str, Any]], Call]] = {
    "grants": _grants,
    "revocations": _revocations,
    "claim": _claim,
    "bonus": _bonus,
}


def step_of(mail: Mail) -> str:
    """The name under which journal and outbox know a message."""
    return f"mail-{mail.cid.digest.hex()}"
