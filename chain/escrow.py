"""Escrow: the study's money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from chain.challenges import Leaf
from chain.contract import Contract, build
from chain.escrow_events import (
    BondPosted,
    BondReturned,
    BondTaken,
    BonusPaid,
    DepositCredited,
    DepositTaken,
    DepositWithdrawn,
    Funded,
    HospitalPaid,
    PatientPaid,
    Refunded,
    Reserved,
    RewardRootPosted,
    RewardRootRejected,
)
from chain.round_types import Freeze
from chain.types import Address, AgreementId, BlockNumber, Call, ConsentId, StudyId, Wei


@dataclass(frozen=True, slots=True)
class Account:
    """What came in, is reserved, and left; the interface tells what each field means."""

    token: Address
    center: Address
    funded: Wei
    set_aside: Wei
    reserved: Wei
    paid_patients: Wei
    paid_hospitals: Wei
    refunded: Wei
    pot: Wei
    pot_paid: Wei
    patients: int


@dataclass(frozen=True, slots=True)
class Claimant:
    """The one-time key behind a consent, and the nonce of the id that stands in the cohort."""

    key: Address
    nonce: int


@dataclass(frozen=True, slots=True)
class RewardRoot:
    """The posted root of the hospitals' shares; zero where none is."""

    root: bytes
    total: Wei
    votes: int
    rejected: bool


Proof = Sequence[bytes]


class Escrow(Contract):
    """See contracts/interfaces/IEscrow.sol."""

    name = "Escrow"
    events: ClassVar[dict[str, type]] = {
        kind.__name__: kind
        for kind in (
            Funded,
            Reserved,
            PatientPaid,
            BonusPaid,
            HospitalPaid,
            RewardRootPosted,
            RewardRootRejected,
            Refunded,
            BondPosted,
            BondReturned,
            BondTaken,
            DepositTaken,
            DepositCredited,
            DepositWithdrawn,
        )
    }

    def fund(self, study: StudyId, amount: Wei) -> Call:
        """Anyone, before endBy."""
        return self._call("fund", study, amount)

    def open_account(
        self, study: StudyId, center: Address, token: Address, set_aside: Wei, funding: Wei
    ) -> Call:
        """Only Studies."""
        return self._call("openAccount", study, center, token, set_aside, funding)

    def post_bond(self, study: StudyId, hospital: Address, amount: Wei) -> Call:
        """Only Studies."""
        return self._call("postBond", study, hospital, amount)

    def take_bond(self, study: StudyId, hospital: Address) -> Call:
        """Only Rounds."""
        return self._call("takeBond", study, hospital)

    def return_bond(self, study: StudyId, hospital: Address) -> Call:
        """Anyone, from challengeEnd on."""
        return self._call("returnBond", study, hospital)

    def reserve(self, study: StudyId, amount: Wei) -> Call:
        """Only Consents."""
        return self._call("reserve", study, amount)

    def take_deposit(self, study: StudyId, sender: Address, amount: Wei) -> Call:
        """Only Challenges."""
        return self._call("takeDeposit", study, sender, amount)

    def pay_deposit(self, study: StudyId, to: Address, amount: Wei) -> Call:
        """Only Challenges."""
        return self._call("payDeposit", study, to, amount)

    def withdraw_deposit(self, study: StudyId, account: Address) -> Call:
        """Anyone; it goes to the account."""
        return self._call("withdrawDeposit", study, account)

    def claim(
        self, freeze: Freeze, leaf: Leaf, proof: Proof, nonce: int, recipient: Address
    ) -> Call:
        """Sent by the key itself."""
        return self._call("claim", freeze, leaf, proof, nonce, recipient)

    def claim_by_sig(
        self,
        freeze: Freeze,
        leaf: Leaf,
        proof: Proof,
        claimant: Claimant,
        recipient: Address,
        deadline: int,
        signature: bytes,
    ) -> Call:
        """Sent by anyone with the key's signature."""
        rest = (claimant, recipient, deadline, signature)
        return self._call("claimBySig", freeze, leaf, proof, *rest)

    def claim_bonus(
        self,
        key: Address,
        agreement: AgreementId,
        recipient: Address,
        deadline: int,
        signature: bytes,
    ) -> Call:
        """Sent by anyone with the key's signature, between claimEnd and refundAt."""
        return self._call("claimBonus", key, agreement, recipient, deadline, signature)

    def post_reward_root(self, study: StudyId, root: bytes, total: Wei) -> Call:
        """Only the center, until settleBy."""
        return self._call("postRewardRoot", study, root, total)

    def reject_reward_root(self, study: StudyId) -> Call:
        """Only an auditor of the study, until challengeEnd."""
        return self._call("rejectRewardRoot", study)

    def claim_hospital(self, study: StudyId, index: int) -> Call:
        """Anyone; it goes to the hospital."""
        return self._call("claimHospital", study, index)

    def claim_hospital_by_root(self, study: StudyId, index: int, amount: Wei, proof: Proof) -> Call:
        """Anyone; it goes to the hospital."""
        return self._call("claimHospitalByRoot", study, index, amount, proof)

    def refund(self, study: StudyId) -> Call:
        """Anyone; it goes to the center."""
        return self._call("refund", study)

    def account(self, study: StudyId, *, block_identifier: BlockNumber) -> Account:
        """The study's account."""
        found: Account = build(Account, self._read(block_identifier, "account", study)[0])
        return found

    def unreserved(self, study: StudyId, *, block_identifier: BlockNumber) -> Wei:
        """What can still be promised to patients."""
        return Wei(self._read(block_identifier, "unreserved", study)[0])

    def bond_of(self, study: StudyId, hospital: Address, *, block_identifier: BlockNumber) -> Wei:
        """What a hospital's bond holds now."""
        return Wei(self._read(block_identifier, "bondOf", study, hospital)[0])

    def deposit_of(self, study: StudyId, account: Address, *, block_identifier: BlockNumber) -> Wei:
        """Deposits credited and not yet withdrawn."""
        return Wei(self._read(block_identifier, "depositOf", study, account)[0])

    def reward_root(self, study: StudyId, *, block_identifier: BlockNumber) -> RewardRoot:
        """The posted root."""
        return RewardRoot(*self._read(block_identifier, "rewardRoot", study))

    def hospital_paid(self, study: StudyId, index: int, *, block_identifier: BlockNumber) -> bool:
        """Whether a hospital has its share."""
        return bool(self._read(block_identifier, "hospitalPaid", study, index)[0])

    def share_of(self, study: StudyId, index: int, *, block_identifier: BlockNumber) -> Wei:
        """What the `count` rule pays."""
        return Wei(self._read(block_identifier, "shareOf", study, index)[0])

    def hash_claim(
        self,
        consent: ConsentId,
        recipient: Address,
        deadline: int,
        *,
        block_identifier: BlockNumber,
    ) -> bytes:
        """The contract's EIP-712 digest."""
        return bytes(self._read(block_identifier, "hashClaim", consent, recipient, deadline)[0])

    def hash_claim_bonus(
        self,
        consent: ConsentId,
        recipient: Address,
        deadline: int,
        *,
        block_identifier: BlockNumber,
    ) -> bytes:
        """The contract's EIP-712 digest."""
        message = (consent, recipient, deadline)
        return bytes(self._read(block_identifier, "hashClaimBonus", *message)[0])

    def patients_paid(self, study: StudyId, *, to_block: BlockNumber) -> list[PatientPaid]:
        """Every price paid."""
        return self._find(PatientPaid, BlockNumber(0), to_block, study=study)

    def bonuses_paid(self, study: StudyId, *, to_block: BlockNumber) -> list[BonusPaid]:
        """Every share of the pot paid."""
        return self._find(BonusPaid, BlockNumber(0), to_block, study=study)

    def hospitals_paid(self, study: StudyId, *, to_block: BlockNumber) -> list[HospitalPaid]:
        """Every share of a hospital paid."""
        return self._find(HospitalPaid, BlockNumber(0), to_block, study=study)

    def fundings(self, study: StudyId, *, to_block: BlockNumber) -> list[Funded]:
        """All money that came in."""
        return self._find(Funded, BlockNumber(0), to_block, study=study)

    def refunds(self, study: StudyId, *, to_block: BlockNumber) -> list[Refunded]:
        """All money that returned."""
        return self._find(Refunded, BlockNumber(0), to_block, study=study)

    def bonds_taken(self, study: StudyId, *, to_block: BlockNumber) -> list[BondTaken]:
        """All bonds of voided hospitals."""
        return self._find(BondTaken, BlockNumber(0), to_block, study=study)

    def rejections(self, study: StudyId, *, to_block: BlockNumber) -> list[RewardRootRejected]:
        """Auditors' votes against the posted root."""
        return self._find(RewardRootRejected, BlockNumber(0), to_block, study=study)
