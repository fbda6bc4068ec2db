"""What mail to a relayer asks of the chain: the call that each kind of message becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from chain.challenges import Leaf
from chain.consent_types import GrantMessage, RevokeMessage
from chain.contracts import Contracts
from chain.escrow import Claimant
from chain.round_types import Freeze
from chain.types import Address, AgreementId, Call, ConsentId
from federated.mail import Mail
from federated.offers import Cancellation


def call_of(chain: Contracts, mail: Mail) -> Call:
    """The transaction that a message asks for; judged by nobody yet.

    Raises KeyError, TypeError, ValueError, IndexError or EncodingError for what is no message of
    its kind: anyone can leave mail.
    """
    return _CALLS[mail.kind](chain, mail.body)


def first_of_each(
    calls: Iterable[tuple[Mail, Call]],
) -> tuple[list[tuple[Mail, Call]], list[tuple[Mail, Call]]]:
    """The first call for each thing that is had once, and the others, which must wait for it.

    Sent at once both would be sound on their own, and the second would cost gas for nothing. After
    the first its simulation shows that the thing is had.
    """
    seen: set[tuple[str, bytes]] = set()
    first: list[tuple[Mail, Call]] = []
    others: list[tuple[Mail, Call]] = []
    for mail, call in calls:
        had_once = _HAD_ONCE.get(mail.kind)
        effect = (mail.kind, call.data[had_once] if had_once else mail.cid.digest)
        (others if effect in seen else first).append((mail, call))
        seen.add(effect)
    return first, others


def granted(body: Mapping[str, Any]) -> list[GrantMessage]:
    """The messages of a batch of grants."""
    return [GrantMessage(ConsentId(m[0]), *m[1:]) for m in body["messages"]]


def withdrawn(body: Mapping[str, Any]) -> list[RevokeMessage]:
    """The messages of a batch of withdrawals."""
    return [RevokeMessage(Address(m[0]), *m[1:]) for m in body["messages"]]


def _grants(chain: Contracts, body: Mapping[str, Any]) -> Call:
    return chain.consents.grant_batch(
        AgreementId(body["agreement"]), granted(body), body["deadline"], body["admission"]
    )


def _revocations(chain: Contracts, body: Mapping[str, Any]) -> Call:
    return chain.consents.revoke_batch(withdrawn(body))


def _claim(chain: Contracts, body: Mapping[str, Any]) -> Call:
    index, consent, record = body["leaf"]
    return chain.escrow.claim_by_sig(
        Freeze(*body["freeze"]),
        Leaf(index, ConsentId(consent), record),
        body["proof"],
        Claimant(Address(body["key"]), body["nonce"]),
        Address(body["recipient"]),
        body["deadline"],
        body["signature"],
    )


def _bonus(chain: Contracts, body: Mapping[str, Any]) -> Call:
    return chain.escrow.claim_bonus(
        Address(body["key"]),
        AgreementId(body["agreement"]),
        Address(body["recipient"]),
        body["deadline"],
        body["signature"],
    )


def _cancellation(chain: Contracts, body: Mapping[str, Any]) -> Call:
    return Cancellation(
        Address(body["key"]), body["offer"], body["deadline"], body["signature"]
    ).call(chain)


_CALLS: dict[str, Callable[[Contracts, Mapping[str, Any]], Call]] = {
    "grants": _grants,
    "revocations": _revocations,
    "claim": _claim,
    "bonus": _bonus,
    "cancellation": _cancellation,
}

_HAD_ONCE = {
    "claim": slice(4 + 11 * 32, 4 + 12 * 32),  # the id, behind ten words of a freeze and an index
    "bonus": slice(0, 4 + 2 * 32),  # key and agreement
    "cancellation": slice(0, 4 + 2 * 32),  # key and offer
}
"""Where in the bytes of a call stands what it is had once for."""
