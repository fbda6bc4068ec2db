"""What is left at the desk is judged first as the contracts will judge it, for gas is not free.

Contracts that act as keys (ERC-1271) cannot be judged here: they send for themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.server.consents import slot_of, standing_of
from api.server.messages import AdmissionIn, BonusIn, ClaimIn
from api.server.problems import ApiProblem
from api.server.text import account, raw
from api.server.workers import View
from chain.agreements import Tier
from chain.challenges import Leaf
from chain.consent_types import GrantMessage, RevokeMessage, consent_id
from chain.errors import BadSignature, TxReverted
from chain.escrow import Claimant
from chain.round_types import Freeze
from chain.typed_data import (
    Admission,
    CancelCounterOffer,
    Claim,
    ClaimBonus,
    Domain,
    Grant,
    Message,
    Revoke,
    expand,
    hash_ids,
    recover,
)
from chain.types import NO_ADDRESS, Address, AgreementId, Call, ConsentId
from federated.offers import Cancellation, SignedOffer, cancelled_at, domain_of
from federated.patient import SignedGrant

Body = Mapping[str, Any]


def check_deadline(view: View, deadline: int) -> None:
    """Raise `ApiProblem` where the chain's time is past it."""
    if view.chain.client.timestamp() > deadline:
        raise ApiProblem("expired", "the message's deadline is past by the chain's time: sign anew")


def check_revocation(view: View, message: RevokeMessage) -> bool:
    """Whether the consent that it withdraws stands now. Raises `ApiProblem`."""
    chain = view.chain
    consent = consent_id(message.key, message.agreement, message.nonce)
    signature = expand(message.r, message.vs)
    domain = domain_of(chain, chain.consents.address)
    _require(signature, Revoke(consent, message.deadline), domain, message.key)
    check_deadline(view, message.deadline)
    tier_of(view, message.agreement)
    slot = chain.consents.consent(consent, block_identifier=view.block)
    if slot.revoked:
        raise ApiProblem("already-done", "the consent is withdrawn on the chain already")
    if not slot.granted and message.nonce and not _revoked(view, message):
        raise ApiProblem("not-now", "the consent of the nonce before is not withdrawn yet")
    return bool(slot.granted)


def check_grant(view: View, grant: SignedGrant) -> Tier:
    """The tier whose hospital can admit it. Raises `ApiProblem`."""
    tier = tier_of(view, grant.agreement)
    domain = domain_of(view.chain, view.chain.consents.address)
    _check_granted(grant.message, grant.agreement, tier, domain, grant.key)
    check_deadline(view, grant.message.deadline)
    if tier.closed or view.chain.client.timestamp() > tier.not_after:
        raise ApiProblem("not-now", f"agreement {grant.agreement} takes no more grants")
    _require_unused(view, [grant.message])
    return tier


def check_admission(view: View, given: AdmissionIn) -> Body:
    """The mail for the relayer. Raises `ApiProblem`."""
    agreement = AgreementId(given.agreement)
    tier = tier_of(view, agreement)
    messages = [item.message() for item in given.messages]
    domain = domain_of(view.chain, view.chain.consents.address)
    admission = Admission(agreement, hash_ids([m.id for m in messages]), given.deadline)
    _require(raw(given.admission), admission, domain, tier.hospital)
    for message in messages:
        _check_granted(message, agreement, tier, domain, None)
    check_deadline(view, given.deadline)
    _require_unused(view, messages)
    return {
        "agreement": agreement,
        "messages": [[m.id, m.nonce, m.deadline, m.r, m.vs] for m in messages],
        "deadline": given.deadline,
        "admission": raw(given.admission),
    }


def check_counter(view: View, offer: SignedOffer) -> None:
    """Raise `ApiProblem` for an offer that its center could not accept."""
    tier = tier_of(view, offer.terms.agreement)
    domain = domain_of(view.chain, view.chain.agreements.address)
    _require(offer.signature, offer.terms, domain, offer.key)
    check_deadline(view, offer.terms.expiry)
    end = view.chain.studies.terms(tier.study, block_identifier=view.block).end_by
    if view.chain.client.timestamp() >= end:
        raise ApiProblem("not-now", f"study {tier.study} has ended: no tier opens any more")
    if cancelled_at(view.chain, offer, view.block):
        raise ApiProblem(
            "already-done", "the counter-offer is cancelled on the chain: sign a new one"
        )


def check_cancellation(view: View, given: Cancellation) -> Body:
    """The mail for the relayer. Raises `ApiProblem`."""
    agreements = view.chain.agreements
    message = CancelCounterOffer(given.offer, given.deadline)
    _require(given.signature, message, domain_of(view.chain, agreements.address), given.key)
    check_deadline(view, given.deadline)
    if agreements.cancelled_at(given.key, given.offer, block_identifier=view.block):
        raise ApiProblem("already-done", "the counter-offer is cancelled on the chain already")
    return given.body()


def check_claim(view: View, relayer: Address, given: ClaimIn) -> Body:
    """The mail for the relayer, with the proof that the chain asks for. Raises `ApiProblem`."""
    consent, key, to = ConsentId(raw(given.consent)), account(given.key), account(given.recipient)
    signature = raw(given.signature)
    domain = domain_of(view.chain, view.chain.escrow.address)
    _require(signature, Claim(consent, to, given.deadline), domain, key)
    check_deadline(view, given.deadline)
    slot, tier = slot_of(view, consent)
    if consent_id(key, slot.agreement, given.nonce) != consent:
        raise ApiProblem("bad-signature", "key and nonce are not the ones behind this consent")
    standing = standing_of(view, consent, tier)
    if standing is None:
        raise ApiProblem(
            "not-now",
            "the consent stands in no cohort that pays yet: wait until a round with it is final",
        )
    freeze, leaf, proof = standing.freeze, standing.leaf, list(standing.proof)
    _simulate(
        view,
        relayer,
        view.chain.escrow.claim_by_sig(
            freeze,
            Leaf(leaf.index, consent, leaf.record),
            proof,
            Claimant(key, given.nonce),
            to,
            given.deadline,
            signature,
        ),
    )
    return {
        "freeze": [getattr(freeze, name) for name in Freeze.__dataclass_fields__],
        "leaf": [leaf.index, leaf.consent, leaf.record],
        "proof": proof,
        "key": key,
        "nonce": given.nonce,
        "recipient": to,
        "deadline": given.deadline,
        "signature": signature,
    }


def check_bonus(view: View, relayer: Address, given: BonusIn) -> Body:
    """The mail for the relayer. Raises `ApiProblem`."""
    key, to, agreement = account(given.key), account(given.recipient), AgreementId(given.agreement)
    message = ClaimBonus(consent_id(key, agreement, 0), to, given.deadline)
    domain = domain_of(view.chain, view.chain.escrow.address)
    _require(raw(given.signature), message, domain, key)
    check_deadline(view, given.deadline)
    tier_of(view, agreement)
    signature = raw(given.signature)
    call = view.chain.escrow.claim_bonus(key, agreement, to, given.deadline, signature)
    _simulate(view, relayer, call)
    return {
        "key": key,
        "agreement": agreement,
        "recipient": to,
        "deadline": given.deadline,
        "signature": signature,
    }


def tier_of(view: View, agreement: AgreementId) -> Tier:
    """The tier. Raises `ApiProblem` where there is none such."""
    known = view.chain.agreements.count(block_identifier=view.block)
    if not 1 <= agreement <= known:
        raise ApiProblem("no-such-agreement", f"this chain has agreements 1 to {known}")
    return view.chain.agreements.tier(agreement, block_identifier=view.block)


def _check_granted(
    message: GrantMessage,
    agreement: AgreementId,
    tier: Tier,
    domain: Domain,
    key: Address | None,
) -> None:
    """The key that signed must give exactly the id, and be the one that is named, if one is."""
    signed = Grant(
        id=message.id,
        study=tier.study,
        agreement=agreement,
        price=tier.price,
        purposes=tier.purposes,
        not_after=tier.not_after,
        nonce=message.nonce,
        deadline=message.deadline,
    )
    signer = _signer(expand(message.r, message.vs), signed, domain)
    if signer is None or key not in (None, signer):
        raise _not_signed()
    if consent_id(signer, agreement, message.nonce) != message.id:
        raise _not_signed()


def _require_unused(view: View, messages: list[GrantMessage]) -> None:
    """Something of a batch must still take effect: sent again it would only cost gas."""
    for message in messages:
        slot = view.chain.consents.consent(message.id, block_identifier=view.block)
        if not slot.granted and not slot.revoked:
            return
    raise ApiProblem("already-done", "granted or withdrawn on the chain already")


def _revoked(view: View, message: RevokeMessage) -> bool:
    before = consent_id(message.key, message.agreement, message.nonce - 1)
    return bool(view.chain.consents.consent(before, block_identifier=view.block).revoked)


def _simulate(view: View, relayer: Address, call: Call) -> None:
    try:
        view.chain.client.node.call(call, block=view.block, sender=relayer)
    except TxReverted as exc:
        if exc.name == "AlreadyPaid":
            raise ApiProblem("already-done", "it was paid already") from exc
        if exc.name in ("TooEarly", "NothingToPay"):
            raise ApiProblem("not-now", "nothing is due yet: wait for the end of claims") from exc
        raise


def _signer(signature: bytes, message: Message, domain: Domain) -> Address | None:
    try:
        return recover(signature, message, domain)
    except BadSignature:
        return None  # nobody's: no account that the caller compares with


def _require(signature: bytes, message: Message, domain: Domain, key: Address) -> None:
    if key == NO_ADDRESS or _signer(signature, message, domain) != key:
        raise _not_signed()


def _not_signed() -> ApiProblem:
    return ApiProblem(
        "bad-signature",
        "it is not signed by its key for this message, on this chain and for this contract: see "
        "/v1/deployment, and sign anew",
    )
