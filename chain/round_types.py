"""What Rounds stores of a round, and what a hospital commits to in it."""

from __future__ import annotations

from dataclasses import dataclass

from eth_abi.abi import encode

from chain.contract import plain
from chain.keccak import keccak
from chain.types import Address, BlockNumber, RoundNumber, StudyId

_FREEZE = "(uint256,uint256,uint256,uint64,bytes32,bytes32,uint32,uint32,bytes32,bytes32)"


@dataclass(frozen=True, slots=True)
class Freeze:
    """A hospital's commitment to its cohort; the interface tells what each field means."""

    study: StudyId
    round: RoundNumber
    hospital: int
    snapshot: BlockNumber
    snapshot_hash: bytes
    root: bytes
    n: int
    weight: int
    leaf_list: bytes
    round_keys: bytes

    def digest(self) -> bytes:
        """keccak256(abi.encode(freeze))."""
        return keccak(encode([_FREEZE], [plain(self)]))


def bound(freeze: bytes, hospital: Address) -> bytes:
    """What the contract stores of a freeze's digest: keccak256(abi.encode(digest, hospital)), the
    lowest two bits cleared."""
    whole = keccak(encode(["bytes32", "address"], [freeze, hospital]))
    return whole[:-1] + bytes([whole[-1] & 0xFC])


@dataclass(frozen=True, slots=True)
class Round:
    """A round's state; times are seconds, words are one bit per hospital."""

    freeze_by: int
    submit_by: int
    unmask_by: int
    finalize_by: int
    open_block: BlockNumber
    parent: RoundNumber
    reached: bool
    closed: bool
    finalized: bool
    lapsed: bool
    aborted: bool
    contaminated: bool
    enrolled: int
    frozen: int
    submitted: int
    voided: int
    included: int
    survivors: int
    unmasked: int
    start_state: bytes
    state: bytes
    inputs: bytes
    manifest: bytes


@dataclass(frozen=True, slots=True)
class Cohort:
    """What the contract stores of a freeze, `bound` to its hospital; zero where it has none."""

    digest: bytes
    weight: int


@dataclass(frozen=True, slots=True)
class PayableCohort:
    """A cohort whose patients can claim; the digest is zero where they cannot."""

    digest: bytes
    submit_by: int


@dataclass(frozen=True, slots=True)
class Deadlines:
    """A round's times, seconds."""

    freeze_by: int
    submit_by: int
    unmask_by: int
    finalize_by: int
