"""Types at this package's borders: ids, and what is read from a node and sent to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NewType

Address = NewType("Address", str)  # with its checksum (EIP-55)
StudyId = NewType("StudyId", int)  # from 1
RoundNumber = NewType("RoundNumber", int)  # from 1 within its study; 0 is the study's own state
AgreementId = NewType("AgreementId", int)  # from 1
ConsentId = NewType("ConsentId", bytes)  # 32 bytes
BlockNumber = NewType("BlockNumber", int)
Wei = NewType("Wei", int)  # smallest units: of the chain's coin, or of a study's token

NO_ADDRESS = Address("0x" + "00" * 20)

# What a read looks at: a number, a block's hash (EIP-1898), or a name. Anything that is replayed
# names a number or a hash.
BlockId = BlockNumber | bytes | Literal["latest", "pending", "finalized"]

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A transaction that is not signed yet; `what` names it in errors, as in "Rounds.freeze"."""

    what: str
    to: Address | None  # None creates a contract
    data: bytes
    value: Wei = Wei(0)


@dataclass(frozen=True, slots=True)
class Block:
    """A block's header, as far as it is needed; the pending block has no hash."""

    number: BlockNumber
    hash: bytes
    timestamp: int
    base_fee: Wei | None


@dataclass(frozen=True, slots=True)
class Log:
    """An event as the node gives it."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction that is in a block and took effect."""

    transaction: bytes
    block: BlockNumber
    block_hash: bytes
    gas_used: int
    contract: Address | None
    logs: tuple[Log, ...]
