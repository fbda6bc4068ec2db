"""The relayer: sends what patients and hospitals signed, and pays the gas.

It can hold a message back, and alter none: every message is judged by the contract that it is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from eth_abi.exceptions import EncodingError

from chain.consent_events import GrantSkipped, RevokeSkipped
from chain.errors import TxRefused, TxReverted
from chain.types import AgreementId, Call, Receipt
from federated.mail import Mail, Mailbox
from federated.mail_calls import call_of, first_of_each, granted, withdrawn
from federated.party import Party
from federated.worth import why_no_grant, why_no_withdrawal

Waiting = tuple[Mail, Call]
_AT_ONCE = 100  # messages between two looks for withdrawals
_TURNS = 2  # the second for what stands behind a copy that was refused; others wait for a pass


@dataclass(slots=True)
class Relayed:
    """What became of the mail: messages sent, and for each refused one why."""

    sent: int = 0
    refused: list[str] = field(default_factory=list)


def relay(party: Party, progress: Callable[[str], None] = lambda _: None) -> Relayed:
    """Send all mail that was not sent yet; withdrawals first. Idempotent after a kill."""
    party.chain.client.resume()  # what was sent before, to a chain that lost it
    return _Pass(party).run(progress)


class _Pass:
    """One look at the mail, and what becomes of it."""

    def __init__(self, party: Party) -> None:
        self._party, self._report = party, Relayed()
        self._mailbox = Mailbox(party.store, party.address)
        self._begun = False

    def run(self, progress: Callable[[str], None]) -> Relayed:
        waiting = self._new()
        waiting.sort(key=lambda mail: (mail.kind != "revocations", mail.kind != "grants"))
        calls = self._judged(waiting)
        progress(f"{len(calls)} messages")
        for _ in range(_TURNS):
            first, others = first_of_each(calls)
            self._send(first)
            calls = self._still_sound(others)
        return self._report

    def _new(self) -> list[Mail]:
        """What came since the last look and was not concluded in an earlier pass."""
        return [m for m in self._mailbox.new() if self._party.journal.get(step_of(m)) is None]

    def _judged(self, waiting: Iterable[Mail]) -> list[Waiting]:
        """The calls of what is worth sending."""
        party, calls = self._party, []
        for mail in waiting:
            try:
                call = call_of(party.chain, mail)  # first: it finds what is no message of its kind
                why = _why_not(party, mail)
            except (KeyError, TypeError, ValueError, IndexError, EncodingError):
                why = "not a message of that kind"
            if why is None:
                calls.append((mail, call))
            else:
                _done(party, mail, self._report, f"{mail.kind} {mail.cid}: {why}")
        return calls

    def _send(self, calls: Sequence[Waiting]) -> None:
        for part in self._parts(calls):
            self._send_part(part)

    def _send_part(self, part: Sequence[Waiting]) -> None:
        results = self._party.chain.client.send_many([(call, step_of(mail)) for mail, call in part])
        for (mail, _), result in zip(part, results, strict=True):
            _conclude(self._party, mail, result, self._report)

    def _still_sound(self, calls: Sequence[Waiting]) -> list[Waiting]:
        """Those that would take effect now; of the others it is concluded why not.

        All at once: a turn for each copy would let anyone fill a pass with them, as long as none
        of them is refused for good. What was signed before a kill may be what would refuse it now.
        """
        party, found = self._party, []
        for part in self._parts(calls):
            signed = party.chain.client.outbox.taken([step_of(mail) for mail, _ in part])
            refusals = party.chain.client.refusals([call for _, call in part])
            for (mail, call), refusal in zip(part, refusals, strict=True):
                if refusal is None or step_of(mail) in signed:
                    found.append((mail, call))
                else:
                    _conclude(party, mail, refusal, self._report)
        return found

    def _parts(self, calls: Sequence[Waiting]) -> Iterator[Sequence[Waiting]]:
        """A few at a time: withdrawals that come meanwhile go in between."""
        for start in range(0, len(calls), _AT_ONCE):
            if self._begun:
                new = [mail for mail in self._new() if mail.kind == "revocations"]
                if withdrawals := self._judged(new):
                    self._send_part(withdrawals)
            self._begun = True
            yield calls[start : start + _AT_ONCE]


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
