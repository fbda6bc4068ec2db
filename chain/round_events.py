"""What Rounds tells of: its events."""

from __future__ import annotations

from dataclasses import dataclass

from eth_abi.abi import encode

from chain.keccak import keccak
from chain.round_types import Freeze
from chain.types import Address, BlockNumber, RoundNumber, StudyId


@dataclass(frozen=True, slots=True)
class RoundOpened:
    """A round began from its parent's state."""

    study: StudyId
    round: RoundNumber
    parent: RoundNumber
    state: bytes
    enrolled: int
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Drawn:
    """A round is for some of the hospitals alone, drawn from those in `pool`, one bit each."""

    study: StudyId
    round: RoundNumber
    pool: int
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Frozen:
    """A hospital committed to its cohort."""

    study: StudyId
    round: RoundNumber
    hospital: Address
    freeze: Freeze
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Submitted:
    """A hospital's submission: digest of the artefact's manifest, commitment of its plaintext."""

    study: StudyId
    round: RoundNumber
    hospital: Address
    index: int
    manifest: bytes
    commitment: bytes
    block: BlockNumber
    log_index: int
    transaction: bytes

    def digest(self) -> bytes:
        """keccak256(abi.encode(manifest, commitment)): what the contract stores."""
        return keccak(encode(["bytes32", "bytes32"], [self.manifest, self.commitment]))


@dataclass(frozen=True, slots=True)
class SubmitClosed:
    """Masked mode: the survivors are fixed."""

    study: StudyId
    round: RoundNumber
    survivors: int
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Unmasked:
    """Masked mode: a survivor recorded its shares."""

    study: StudyId
    round: RoundNumber
    hospital: Address
    shares: bytes
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Finalized:
    """The center bound inputs, state and manifest."""

    study: StudyId
    round: RoundNumber
    included: int
    inputs: bytes
    state: bytes
    manifest: bytes
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Lapsed:
    """A round ran out unfinalized; its weights are counted."""

    study: StudyId
    round: RoundNumber
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Aborted:
    """A round ended before anybody submitted."""

    study: StudyId
    round: RoundNumber
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Voided:
    """A hospital's update was proven false."""

    study: StudyId
    round: RoundNumber
    index: int
    contaminated: bool
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Restored:
    """The weight of a hospital that was left out falsely counts, by a quorum of auditors."""

    study: StudyId
    round: RoundNumber
    index: int
    weight: int
    block: BlockNumber
    log_index: int
    transaction: bytes
