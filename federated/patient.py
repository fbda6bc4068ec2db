"""The patient: grants, withdraws and claims by signing, with one-time keys of one secret.

The patient needs no coins: a relayer sends what is signed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chain.agreements import Tier
from chain.consent_types import Consent, GrantMessage, RevokeMessage, consent_id
from chain.contracts import Contracts
from chain.errors import TxReverted
from chain.keys import PatientSecret, address_of
from chain.typed_data import Claim, ClaimBonus, CounterOffer, Grant, Revoke, compact, sign
from chain.types import Address, AgreementId, BlockNumber, ConsentId
from federated.errors import StepError
from federated.offers import (
    Cancellation,
    SignedOffer,
    domain_of,
    sign_cancellation,
    sign_offer,
)

_FORMAT = "consilium/grant/1"


@dataclass(frozen=True, slots=True)
class SignedGrant:
    """What a patient hands to the hospital."""

    key: Address
    agreement: AgreementId
    message: GrantMessage

    def to_json(self) -> dict[str, Any]:
        """As a file holds it."""
        return {
            "format": _FORMAT,
            "key": self.key,
            "agreement": self.agreement,
            "id": self.message.id.hex(),
            "nonce": self.message.nonce,
            "deadline": self.message.deadline,
            "r": self.message.r.hex(),
            "vs": self.message.vs.hex(),
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> SignedGrant:
        """The inverse. Raises `StepError`."""
        try:
            message = GrantMessage(
                ConsentId(bytes.fromhex(tree["id"])),
                int(tree["nonce"]),
                int(tree["deadline"]),
                bytes.fromhex(tree["r"]),
                bytes.fromhex(tree["vs"]),
            )
            grant = cls(Address(str(tree["key"])), AgreementId(int(tree["agreement"])), message)
            sizes = {len(message.id), len(message.r), len(message.vs)}
            sound = tree["format"] == _FORMAT and sizes == {32}
        except (KeyError, TypeError, ValueError) as exc:
            raise StepError("not a grant: ask the patient to sign it again") from exc
        if not sound:
            raise StepError(f"not a grant: the format is not {_FORMAT}, or a field is too short")
        return grant


class Patient:
    """One secret, and the chain to look things up on. Nothing else is kept."""

    def __init__(self, secret: PatientSecret, chain: Contracts) -> None:
        self._secret = secret
        self._chain = chain

    def address_for(self, agreement: AgreementId) -> Address:
        """The address of the one-time key for an agreement."""
        return address_of(self.key_for(agreement))

    def grant(
        self, agreement: AgreementId, *, deadline: int, shown: Tier | None = None
    ) -> SignedGrant:
        """Consent under an agreement, after the tier as it stands, or as it was `shown`.

        The signature is over the tier's terms: Consents takes none over others. Raises `StepError`.
        """
        block = self._head()
        tier = shown or self._tier(agreement, block)
        key = self.key_for(agreement)
        address = address_of(key)
        nonce = self._next_nonce(address, agreement, block)
        consent = consent_id(address, agreement, nonce)
        message = Grant(
            id=consent,
            study=tier.study,
            agreement=agreement,
            price=tier.price,
            purposes=tier.purposes,
            not_after=tier.not_after,
            nonce=nonce,
            deadline=deadline,
        )
        r, vs = compact(sign(key, message, domain_of(self._chain, self._chain.consents.address)))
        return SignedGrant(address, agreement, GrantMessage(consent, nonce, deadline, r, vs))

    def revoke(
        self, agreement: AgreementId, *, deadline: int, unseen: bool = False
    ) -> RevokeMessage:
        """Withdraw the consent that stands under an agreement. Raises `StepError`.

        `unseen`: instead burn a grant that is signed and not on the chain, so that whoever holds
        it back can never use it.
        """
        key = self.key_for(agreement)
        address = address_of(key)
        nonce = self.unseen_nonce(agreement) if unseen else self.standing_nonce(agreement)
        message = Revoke(consent_id(address, agreement, nonce), deadline)
        domain = domain_of(self._chain, self._chain.consents.address)
        r, vs = compact(sign(key, message, domain))
        return RevokeMessage(address, agreement, nonce, deadline, r, vs)

    def claim(
        self, consent: ConsentId, agreement: AgreementId, recipient: Address, deadline: int
    ) -> bytes:
        """The signature (65 bytes) that lets anyone send the claim for a consent."""
        key = self.key_for(agreement)
        domain = domain_of(self._chain, self._chain.escrow.address)
        return sign(key, Claim(consent, recipient, deadline), domain)

    def claim_bonus(self, agreement: AgreementId, recipient: Address, deadline: int) -> bytes:
        """The signature (65 bytes) that lets anyone send the claim for a share of the pot."""
        key = self.key_for(agreement)
        consent = consent_id(address_of(key), agreement, 0)
        domain = domain_of(self._chain, self._chain.escrow.address)
        return sign(key, ClaimBonus(consent, recipient, deadline), domain)

    def counter(self, offer: CounterOffer) -> SignedOffer:
        """Answer a tier with other terms."""
        self._tier(offer.agreement, self._head())
        return sign_offer(self._chain, offer, self.key_for(offer.agreement))

    def cancel(self, offer: SignedOffer) -> Cancellation:
        """Take back a counter-offer of this patient's. Raises `StepError` for another's."""
        key = self.key_for(offer.terms.agreement)
        if self.counter(offer.terms) != offer:
            raise StepError(
                f"this counter-offer to agreement {offer.terms.agreement} was not signed by your "
                "secret for this chain: give the file that `consilium offer counter` wrote for you"
            )
        return sign_cancellation(self._chain, offer.terms, key)

    def key_for(self, agreement: AgreementId) -> bytes:
        """The one-time private key for an agreement: for sending a withdrawal directly."""
        domain = domain_of(self._chain, self._chain.consents.address)
        return self._secret.key_for(agreement, domain)

    def standing_nonce(self, agreement: AgreementId) -> int:
        """The nonce of the consent that stands. Raises `StepError` where none does."""
        address, block = self.address_for(agreement), self._head()
        nonce = self._next_nonce(address, agreement, block) - 1
        if nonce < 0 or self._slot(address, agreement, nonce, block).revoked:
            raise StepError(
                f"no consent of yours stands under agreement {agreement}; to withdraw a grant that "
                "is signed and not on the chain yet, add --unseen"
            )
        return nonce

    def unseen_nonce(self, agreement: AgreementId) -> int:
        """The nonce of a grant that is not on the chain yet. Raises `StepError` where one is."""
        address, block = self.address_for(agreement), self._head()
        nonce = self._next_nonce(address, agreement, block)
        if nonce and not self._slot(address, agreement, nonce - 1, block).revoked:
            raise StepError(
                f"a consent of yours stands under agreement {agreement}: withdraw it, without "
                "--unseen"
            )
        return nonce

    def ids(self, agreement: AgreementId) -> list[ConsentId]:
        """Every id that this patient used under an agreement."""
        address = self.address_for(agreement)
        last = self._next_nonce(address, agreement, self._head())
        return [consent_id(address, agreement, nonce) for nonce in range(last)]

    def _next_nonce(self, address: Address, agreement: AgreementId, block: BlockNumber) -> int:
        nonce = 0
        while True:
            slot = self._slot(address, agreement, nonce, block)
            if not slot.granted and not slot.revoked:
                return nonce
            nonce += 1

    def _slot(
        self, address: Address, agreement: AgreementId, nonce: int, block: BlockNumber
    ) -> Consent:
        consent = consent_id(address, agreement, nonce)
        return self._chain.consents.consent(consent, block_identifier=block)

    def _tier(self, agreement: AgreementId, block: BlockNumber) -> Tier:
        try:
            return self._chain.agreements.tier(agreement, block_identifier=block)
        except TxReverted as exc:
            raise StepError(f"agreement {agreement} does not exist; look at the offers") from exc

    def _head(self) -> BlockNumber:
        return self._chain.client.block_number()
