"""What a relayer checks of signed messages before it pays for them: as Consents would judge.

Pure: what the chain says of a tier and of ids is given. The contract judges again; a message that
passes here may still be skipped there, where the chain changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from chain.consent_types import GrantMessage, RevokeMessage, Skip, consent_id
from chain.errors import BadSignature
from chain.keccak import keccak
from chain.typed_data import Domain, Grant, Revoke, expand, recover_bytes
from chain.types import AgreementId, ConsentId, StudyId, Wei

_NONCE_BYTES = 8


@dataclass(frozen=True, slots=True)
class Offered:
    """The tier that a batch of grants names, as far as its messages repeat it."""

    study: StudyId
    agreement: AgreementId
    price: Wei
    purposes: int
    not_after: int


def check_grants(
    messages: Sequence[GrantMessage],
    offered: Offered,
    domain: Domain,
    *,
    now: int,
    used: Collection[ConsentId] = (),
) -> list[Skip]:
    """Why each message would be skipped, `Skip.NONE` where it would not.

    `domain` is that of Consents, `now` the chain's time in seconds, `used` the ids granted or
    burned before. A message given twice is used the second time.
    """
    seen: set[ConsentId] = set()
    found = []
    for message in messages:
        reason = _judge(message, offered, domain, now)
        if reason is Skip.NONE:
            if message.id in seen or message.id in used:
                reason = Skip.ALREADY_USED
            seen.add(message.id)  # by its key alone: a forged one before it must not bar it
        found.append(reason)
    return found


def check_revocation(message: RevokeMessage, domain: Domain, *, now: int) -> Skip:
    """Why Consents would skip a withdrawal, as far as the message itself tells."""
    if message.deadline < now:
        return Skip.EXPIRED
    if not 0 <= message.nonce < 1 << 8 * _NONCE_BYTES or len(message.r + message.vs) != 64:
        return Skip.BAD_SIGNATURE
    try:
        own = consent_id(message.key, message.agreement, message.nonce)
        digest = Revoke(own, message.deadline).digest(domain)
        key = recover_bytes(expand(message.r, message.vs), digest)
    except (BadSignature, ValueError, OverflowError):
        return Skip.BAD_SIGNATURE
    return Skip.NONE if key == bytes.fromhex(message.key[2:]) else Skip.BAD_SIGNATURE


def _judge(message: GrantMessage, offered: Offered, domain: Domain, now: int) -> Skip:
    if message.deadline < now:
        return Skip.EXPIRED
    if not 0 <= message.nonce < 1 << 8 * _NONCE_BYTES or len(message.r + message.vs) != 64:
        return Skip.BAD_SIGNATURE
    grant = Grant(
        message.id,
        offered.study,
        offered.agreement,
        offered.price,
        offered.purposes,
        offered.not_after,
        message.nonce,
        message.deadline,
    )
    try:
        key = recover_bytes(expand(message.r, message.vs), grant.digest(domain))
    except (BadSignature, ValueError, OverflowError):
        return Skip.BAD_SIGNATURE
    # consent_id's words, without its encoder: this is asked for each of 100,000.
    words = bytes(12) + key + offered.agreement.to_bytes(32, "big")
    own = keccak(words + message.nonce.to_bytes(32, "big"))
    return Skip.NONE if own == message.id else Skip.BAD_SIGNATURE
