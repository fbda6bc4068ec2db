"""Challenges: anyone voids a false update; auditors restore what was left out falsely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from chain.contract import Contract, build
from chain.round_types import Freeze
from chain.types import Address, BlockNumber, Call, ConsentId, RoundNumber, StudyId, Wei


class Ground(IntEnum):
    """Why an update is false."""

    NONE = 0
    OUT_OF_RANGE = 1
    INACTIVE = 2
    EXPIRES = 3
    WRONG_HOSPITAL = 4
    WRONG_STUDY = 5
    WRONG_PURPOSE = 6
    SPLIT_INDEX = 7
    ORDER = 8
    NO_ANSWER = 9


@dataclass(frozen=True, slots=True)
class Leaf:
    """One consent in a cohort."""

    index: int
    id: ConsentId
    record: bytes


@dataclass(frozen=True, slots=True)
class Demand:
    """A demand for a leaf; the demander is nobody where there is none."""

    demander: Address
    deadline: int
    deposit: Wei
    closed: bool


@dataclass(frozen=True, slots=True)
class Challenged:
    """An update was voided on this ground."""

    study: StudyId
    round: RoundNumber
    index: int
    ground: Ground
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Demanded:
    """A leaf must be shown until the deadline."""

    study: StudyId
    round: RoundNumber
    index: int
    leaf: int
    deadline: int
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """A demanded leaf was shown."""

    study: StudyId
    round: RoundNumber
    index: int
    leaf: Leaf
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class RestoreVoted:
    """An auditor holds that a hospital was left out falsely; `votes` counts it."""

    study: StudyId
    round: RoundNumber
    index: int
    auditor: Address
    votes: int
    block: BlockNumber
    log_index: int
    transaction: bytes


Proof = Sequence[bytes]


class Challenges(Contract):
    """See contracts/interfaces/IChallenges.sol."""

    name = "Challenges"
    events: ClassVar[dict[str, type]] = {
        "Challenged": Challenged,
        "Demanded": Demanded,
        "Answered": Answered,
        "RestoreVoted": RestoreVoted,
    }

    def challenge_leaf(self, freeze: Freeze, leaf: Leaf, proof: Proof) -> Call:
        """Voids for one leaf that should not be there."""
        return self._call("challengeLeaf", freeze, leaf, proof)

    def challenge_split_index(
        self, freeze: Freeze, a: Leaf, proof_a: Proof, b: Leaf, proof_b: Proof
    ) -> Call:
        """Voids for two leaves with one index."""
        return self._call("challengeSplitIndex", freeze, a, proof_a, b, proof_b)

    def challenge_order(
        self, freeze: Freeze, a: Leaf, proof_a: Proof, b: Leaf, proof_b: Proof
    ) -> Call:
        """Voids for neighbours out of order."""
        return self._call("challengeOrder", freeze, a, proof_a, b, proof_b)

    def demand(self, freeze: Freeze, leaf_index: int) -> Call:
        """Costs the study's deposit, except its auditors."""
        return self._call("demand", freeze, leaf_index)

    def answer(self, freeze: Freeze, leaf: Leaf, proof: Proof) -> Call:
        """In time, from anyone."""
        return self._call("answer", freeze, leaf, proof)

    def expire(self, freeze: Freeze, leaf_index: int) -> Call:
        """Voids a hospital that did not answer."""
        return self._call("expire", freeze, leaf_index)

    def restore(self, study: StudyId, number: RoundNumber, index: int) -> Call:
        """Only an auditor of the study, once, until challengeEnd."""
        return self._call("restore", study, number, index)

    def ground_of(
        self, freeze: Freeze, leaf: Leaf, proof: Proof, *, block_identifier: BlockNumber
    ) -> Ground:
        """What a challenge of this leaf could raise."""
        return Ground(self._read(block_identifier, "groundOf", freeze, leaf, proof)[0])

    def demand_of(
        self,
        study: StudyId,
        number: RoundNumber,
        index: int,
        leaf_index: int,
        *,
        block_identifier: BlockNumber,
    ) -> Demand:
        """The demand for one leaf of a hospital's cohort."""
        place = (study, number, index, leaf_index)
        found: Demand = build(Demand, self._read(block_identifier, "demandOf", *place)[0])
        return found

    def open_demands(self, study: StudyId, index: int, *, block_identifier: BlockNumber) -> int:
        """Unanswered demands against a hospital."""
        return int(self._read(block_identifier, "openDemands", study, index)[0])

    def ground_voided(
        self, study: StudyId, number: RoundNumber, index: int, *, block_identifier: BlockNumber
    ) -> Ground:
        """Why the hospital's update in this round was voided."""
        return Ground(self._read(block_identifier, "groundVoided", study, number, index)[0])

    def restore_votes(
        self, study: StudyId, number: RoundNumber, index: int, *, block_identifier: BlockNumber
    ) -> int:
        """How many auditors voted to restore the hospital's weight in this round."""
        return int(self._read(block_identifier, "restoreVotes", study, number, index)[0])

    def hash_leaf(self, leaf: Leaf, *, block_identifier: BlockNumber) -> bytes:
        """What `merkle.hash_leaf` computes."""
        return bytes(self._read(block_identifier, "hashLeaf", leaf)[0])

    def challenged(self, study: StudyId, *, to_block: BlockNumber) -> list[Challenged]:
        """Every update of a study that was voided, with its ground."""
        return self._find(Challenged, BlockNumber(0), to_block, study=study)

    def demanded(self, study: StudyId, *, to_block: BlockNumber) -> list[Demanded]:
        """Every demand in a study."""
        return self._find(Demanded, BlockNumber(0), to_block, study=study)

    def answered(self, study: StudyId, *, to_block: BlockNumber) -> list[Answered]:
        """Every answer in a study."""
        return self._find(Answered, BlockNumber(0), to_block, study=study)

    def votes_to_restore(self, study: StudyId, *, to_block: BlockNumber) -> list[RestoreVoted]:
        """Every auditor's vote that a hospital of a study was left out falsely."""
        return self._find(RestoreVoted, BlockNumber(0), to_block, study=study)
