"""The relayer: sends what patients and hospitals signed, and pays the gas.

It can hold a message back, and alter none: every message is judged by the contract that it is for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from eth_abi.exceptions import EncodingError

from chain.consent_events import GrantSkipped, RevokeSkipped
from chain.errors import TxRefused, TxReverted
from chain.types import AgreementId, Receipt
from federated.mail import Mail, mail_for
from federated.mail_calls import call_of, granted, turns_of, withdrawn
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
            call = call_of(party.chain, mail)  # first: it finds what is no message of its kind
            why = _why_not(party, mail)
            if why is not None:
                _done(party, mail, report, f"{mail.kind} {mail.cid}: {why}")
                continue
            calls.append((mail, call))
        except (KeyError, TypeError, ValueError, IndexError, EncodingError):
            _done(party, mail, report, f"{mail.kind} {mail.cid}: not a message of that kind")
    progress(f"{len(calls)} messages")
    for turn in turns_of(calls):
        results = party.chain.client.send_many([(call, step_of(mail)) for mail, call in turn])
        for (mail, _), result in zip(turn, results, strict=True):
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


def _why_not(party: Party, mail: Mail) -> str | None:
    """Why a batch is not worth its gas; other messages revert in the simulation, and cost none."""
    if party.chain.client.outbox.find(step_of(mail)) is not None:
        return None  # sent before a kill, perhaps: it may be what used its own ids
    if mail.kind == "grants":
        messages = granted(mail.body)
        return why_no_grant(party.chain, AgreementId(mail.body["agreement"]), messages)
    if mail.kind == "revocations":
        return why_no_withdrawal(party.chain, withdrawn(mail.body))
    return None


_NOT_YET = ("RoundDoesNotPay", "TooEarly")
"""Errors of Escrow that pass when the round ends or a window opens."""


def step_of(mail: Mail) -> str:
    """The name under which journal and outbox know a message."""
    return f"mail-{mail.cid.digest.hex()}"
