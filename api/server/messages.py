"""What patients and hospitals sign and leave here, in the fields of the files that they are."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.server.text import (
    AccountIn,
    DigestIn,
    Given,
    Nonce,
    Number,
    SignatureIn,
    Until,
    WordIn,
    account,
    raw,
)
from chain.consent_types import GrantMessage, RevokeMessage
from chain.typed_data import CounterOffer
from chain.types import AgreementId, ConsentId, Wei
from federated.offers import Cancellation, SignedOffer
from federated.patient import SignedGrant

_R = "First half of the signature (ERC-2098)."
_VS = "Second half of the signature, with the recovery bit on top (ERC-2098)."


class RevocationIn(Given):
    """A withdrawal, signed as EIP-712 `Revoke(bytes32 id, uint64 deadline)` for Consents."""

    key: AccountIn = Field(title="Key", description="Address of the one-time key.")
    agreement: Number = Field(title="Agreement")
    nonce: Nonce = Field(title="Nonce")
    deadline: Until = Field(title="Deadline")
    r: DigestIn = Field(title="r", description=_R)
    vs: DigestIn = Field(title="vs", description=_VS)

    def message(self) -> RevokeMessage:
        """As a batch carries it."""
        agreement = AgreementId(self.agreement)
        return RevokeMessage(
            account(self.key), agreement, self.nonce, self.deadline, raw(self.r), raw(self.vs)
        )


class GrantIn(Given):
    """A consent, as `consilium consent grant` writes it; its hospital admits it by the receipt."""

    format: Literal["consilium/grant/1"] = Field(title="Format")
    key: AccountIn = Field(title="Key", description="Address of the one-time key.")
    agreement: Number = Field(title="Agreement")
    id: DigestIn = Field(title="Id", description="The consent's id.")
    nonce: Nonce = Field(title="Nonce")
    deadline: Until = Field(title="Deadline")
    r: DigestIn = Field(title="r", description=_R)
    vs: DigestIn = Field(title="vs", description=_VS)

    def grant(self) -> SignedGrant:
        """As a hospital takes it."""
        message = GrantMessage(
            ConsentId(raw(self.id)), self.nonce, self.deadline, raw(self.r), raw(self.vs)
        )
        return SignedGrant(account(self.key), AgreementId(self.agreement), message)


class GrantOfBatch(Given):
    """One grant of an admitted batch."""

    id: DigestIn = Field(title="Id", description="The consent's id.")
    nonce: Nonce = Field(title="Nonce")
    deadline: Until = Field(title="Deadline")
    r: DigestIn = Field(title="r", description=_R)
    vs: DigestIn = Field(title="vs", description=_VS)

    def message(self) -> GrantMessage:
        """As a batch carries it."""
        return GrantMessage(
            ConsentId(raw(self.id)), self.nonce, self.deadline, raw(self.r), raw(self.vs)
        )


class AdmissionIn(Given):
    """Grants that a hospital admits, signed as EIP-712 `Admission` over their ids."""

    agreement: Number = Field(title="Agreement")
    messages: list[GrantOfBatch] = Field(title="Messages", min_length=1, max_length=400)
    deadline: Until = Field(title="Deadline", description="Of the admission; seconds.")
    admission: SignatureIn = Field(title="Admission", description="The hospital's signature.")


class CounterTerms(Given):
    """What a patient asks of a tier."""

    agreement: Number = Field(title="Agreement", description="The tier that it answers.")
    price: WordIn = Field(title="Price", description="Smallest units of the token, decimal text.")
    purposes: WordIn = Field(title="Purposes", description="Bits, decimal text.")
    not_after: Until = Field(title="Not after", description="The consent's end; seconds.")
    expiry: Until = Field(title="Expiry", description="Until when the center may accept; seconds.")
    salt: DigestIn = Field(title="Salt")


class CounterOfferIn(Given):
    """A counter-offer, as `consilium offer counter` writes it; it goes sealed to the center."""

    format: Literal["consilium/counter-offer/1"] = Field(title="Format")
    terms: CounterTerms = Field(title="Terms")
    key: AccountIn = Field(title="Key", description="Address of the one-time key.")
    signature: SignatureIn = Field(title="Signature", description="EIP-712 `CounterOffer`.")

    def offer(self) -> SignedOffer:
        """As a center takes it."""
        terms = CounterOffer(
            agreement=AgreementId(self.terms.agreement),
            price=Wei(int(self.terms.price)),
            purposes=int(self.terms.purposes),
            not_after=self.terms.not_after,
            expiry=self.terms.expiry,
            salt=raw(self.terms.salt),
        )
        return SignedOffer(terms, account(self.key), raw(self.signature))


class CancellationIn(Given):
    """A counter-offer taken back, signed as EIP-712 `CancelCounterOffer` for Agreements."""

    key: AccountIn = Field(title="Key", description="Address of the one-time key.")
    offer: DigestIn = Field(title="Offer", description="EIP-712 digest of the counter-offer.")
    deadline: Until = Field(title="Deadline", description="The offer's expiry, say; seconds.")
    signature: SignatureIn = Field(title="Signature", description="For Agreements.")

    def cancellation(self) -> Cancellation:
        """As a relayer takes it."""
        return Cancellation(account(self.key), raw(self.offer), self.deadline, raw(self.signature))


class ClaimIn(Given):
    """A claim, signed as EIP-712 `Claim(bytes32 id, address recipient, uint64 deadline)`."""

    consent: DigestIn = Field(title="Consent", description="The id that stands in the cohort.")
    key: AccountIn = Field(title="Key", description="Address of the one-time key.")
    nonce: Nonce = Field(title="Nonce")
    recipient: AccountIn = Field(title="Recipient", description="Who gets the tokens; public.")
    deadline: Until = Field(title="Deadline")
    signature: SignatureIn = Field(title="Signature", description="For Escrow.")


class BonusIn(Given):
    """A claim of a share of voided hospitals' bonds, signed as EIP-712 `ClaimBonus`."""

    key: AccountIn = Field(title="Key", description="Address of the one-time key.")
    agreement: Number = Field(title="Agreement")
    recipient: AccountIn = Field(title="Recipient", description="Who gets the tokens; public.")
    deadline: Until = Field(title="Deadline")
    signature: SignatureIn = Field(title="Signature", description="For Escrow.")
