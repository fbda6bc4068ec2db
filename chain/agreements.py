"""Agreements: price tiers that a center opens and patients accept by granting."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from chain.contract import Contract, build
from chain.types import Address, AgreementId, BlockNumber, Call, StudyId, Wei


class Reward(IntEnum):
    """What a patient gets: tokens, or the study's results."""

    TOKENS = 0
    RESULTS = 1


@dataclass(frozen=True, slots=True)
class Tier:
    """An agreement; `purposes` is a bitmap, `not_after` a second."""

    study: StudyId
    hospital: Address
    terms: bytes
    price: Wei
    purposes: int
    not_after: int
    max_count: int
    admitted: int
    reward: Reward
    closed: bool
    covers: bool


@dataclass(frozen=True, slots=True)
class CounterOffer:
    """A patient's answer to a tier; `salt` has 32 bytes."""

    agreement: AgreementId
    price: Wei
    purposes: int
    not_after: int
    expiry: int
    salt: bytes


@dataclass(frozen=True, slots=True)
class TierOpened:
    """A center opened a tier."""

    agreement: AgreementId
    study: StudyId
    hospital: Address
    terms: bytes
    price: Wei
    purposes: int
    not_after: int
    max_count: int
    reward: Reward
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class TierClosed:
    """A tier takes no more grants."""

    agreement: AgreementId
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class CounterOfferCancelled:
    """A patient took a counter-offer back; the hash names neither key nor offer."""

    cancellation: bytes
    block: BlockNumber
    log_index: int
    transaction: bytes


class Agreements(Contract):
    """See contracts/interfaces/IAgreements.sol."""

    name = "Agreements"
    events: ClassVar[dict[str, type]] = {
        "TierOpened": TierOpened,
        "TierClosed": TierClosed,
        "CounterOfferCancelled": CounterOfferCancelled,
    }

    def open_tier(
        self,
        study: StudyId,
        hospital: Address,
        *,
        terms: bytes,
        price: Wei,
        purposes: int,
        not_after: int,
        max_count: int,
        reward: Reward = Reward.TOKENS,
    ) -> Call:
        """Only the study's center."""
        rest = (terms, price, purposes, not_after, max_count, reward)
        return self._call("openTier", study, hospital, *rest)

    def close_tier(self, agreement: AgreementId) -> Call:
        """Only the study's center."""
        return self._call("closeTier", agreement)

    def admit(self, agreement: AgreementId, people: int) -> Call:
        """Only Consents."""
        return self._call("admit", agreement, people)

    def cancel_counter_offer(
        self, key: Address, offer: bytes, deadline: int, signature: bytes
    ) -> Call:
        """Anyone, with the key's signature; `offer` is the counter-offer's digest."""
        return self._call("cancelCounterOffer", key, offer, deadline, signature)

    def count(self, *, block_identifier: BlockNumber) -> int:
        """Agreements are numbered from 1 to this."""
        return int(self._read(block_identifier, "count")[0])

    def tier(self, agreement: AgreementId, *, block_identifier: BlockNumber) -> Tier:
        """Raises TxReverted `UnknownAgreement`."""
        found: Tier = build(Tier, self._read(block_identifier, "tier", agreement)[0])
        return found

    def hospital_of(self, agreement: AgreementId, *, block_identifier: BlockNumber) -> Address:
        """The tier's hospital; nobody for an agreement that was never opened."""
        return Address(self._read(block_identifier, "hospitalOf", agreement)[0])

    def admitted_to(
        self, study: StudyId, hospital: Address, *, block_identifier: BlockNumber
    ) -> int:
        """People whom a hospital admitted to a study."""
        return int(self._read(block_identifier, "admittedTo", study, hospital)[0])

    def hash_counter_offer(self, offer: CounterOffer, *, block_identifier: BlockNumber) -> bytes:
        """The contract's EIP-712 digest."""
        return bytes(self._read(block_identifier, "hashCounterOffer", offer)[0])

    def cancelled_at(
        self, key: Address, offer: bytes, *, block_identifier: BlockNumber
    ) -> BlockNumber:
        """The block in which the key took its counter-offer back; 0 where it did not."""
        return BlockNumber(self._read(block_identifier, "cancelledAt", key, offer)[0])

    def hash_cancel_counter_offer(
        self, offer: bytes, deadline: int, *, block_identifier: BlockNumber
    ) -> bytes:
        """The contract's EIP-712 digest."""
        return bytes(self._read(block_identifier, "hashCancelCounterOffer", offer, deadline)[0])

    def opened(self, *, to_block: BlockNumber, study: StudyId | None = None) -> list[TierOpened]:
        """Tiers in the order of their opening."""
        return self._find(TierOpened, BlockNumber(0), to_block, study=study)
