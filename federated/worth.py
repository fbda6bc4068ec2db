"""Is a batch worth its gas? Batches skip what they refuse, and cost their sender gas all the same.

Anyone can leave a copy of a batch that was sent, or signatures of nobody: a relayer that sent them
would pay for nothing, as often as somebody likes. One sound message is enough: the contract judges
each, and a hospital's admission holds for all of a batch together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from chain.checking import Offered, check_grants, check_revocation
from chain.consent_types import GrantMessage, RevokeMessage, Skip, consent_id
from chain.contracts import Contracts
from chain.errors import TxReverted
from chain.types import AgreementId, BlockNumber, ConsentId
from federated.offers import domain_of

M = TypeVar("M")


def why_no_grant(
    chain: Contracts, agreement: AgreementId, messages: Sequence[GrantMessage]
) -> str | None:
    """Why no grant of a batch would take effect; None where one would."""
    block, now = chain.client.block_number(), chain.client.timestamp()
    try:
        tier = chain.agreements.tier(agreement, block_identifier=block)
    except TxReverted as exc:
        return str(exc)
    offered = Offered(tier.study, agreement, tier.price, tier.purposes, tier.not_after)
    domain = domain_of(chain, chain.consents.address)

    def judge(message: GrantMessage) -> Skip:
        used = [message.id] if _is_used(chain, message.id, block) else []
        return check_grants([message], offered, domain, now=now, used=used)[0]

    return _why(messages, judge)


def why_no_withdrawal(chain: Contracts, messages: Sequence[RevokeMessage]) -> str | None:
    """Why no withdrawal of a batch would take effect; None where one might."""
    block, now = chain.client.block_number(), chain.client.timestamp()
    domain = domain_of(chain, chain.consents.address)

    def judge(message: RevokeMessage) -> Skip:
        reason = check_revocation(message, domain, now=now)
        if reason is Skip.NONE:
            name = consent_id(message.key, message.agreement, message.nonce)
            if chain.consents.consent(name, block_identifier=block).revoked:
                return Skip.ALREADY_USED
        return reason

    return _why(messages, judge)


def _is_used(chain: Contracts, name: ConsentId, block: BlockNumber) -> bool:
    slot = chain.consents.consent(name, block_identifier=block)
    return bool(slot.granted or slot.revoked)


def _why(messages: Iterable[M], judge: Callable[[M], Skip]) -> str | None:
    reasons = set()
    for message in messages:
        if (reason := judge(message)) is Skip.NONE:
            return None
        reasons.add(reason.name.lower().replace("_", " "))
    return f"no message of it would take effect: {', '.join(sorted(reasons)) or 'it is empty'}"
