"""What a strategy has a hospital keep between rounds (SCAFFOLD's control variate), in its home.

One file a round, sealed to the hospital, made with the update of that round. It names the consents
whose records it has seen: once one of them is revoked the file is removed, and the hospital begins
anew. In a round it takes the newest that belongs to a model which the round descends from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chain.types import BlockNumber, ConsentId, RoundNumber
from federated.canonical import decode, encode, tagged_hash
from federated.errors import FederatedError, JournalDamaged
from federated.models import parameter_schema
from federated.party import Party
from federated.schema import Parameters
from federated.study import Study
from federated.tensors import decode_tensors, encode_tensors
from storage.own_file import read_own, write_own

_FORMAT = "consilium/control/1"


@dataclass(frozen=True, slots=True)
class Control:
    """Float64 tensors like the parameters, and the consents (32 bytes) that they come from."""

    consents: tuple[bytes, ...]
    tensors: Parameters


def write_control(party: Party, study: Study, number: RoundNumber, control: Control) -> None:
    """Seal and replace the round's file, durably. Raises what `write_own` does."""
    wide = parameter_schema(study.spec).with_dtype("F64")
    content = {
        "format": _FORMAT,
        "consents": list(control.consents),
        "tensors": encode_tensors(control.tensors, wide),
    }
    path = path_of(party, study, number)
    write_own(path, encode(content), party.identity, _context(party, study, number))


def latest_control(
    party: Party, study: Study, parent: RoundNumber, block: BlockNumber
) -> Parameters | None:
    """The newest of `parent` and the rounds that it descends from; None where there is none.

    First removes every file of the study that saw a consent which is not active at the block.
    Raises the store's errors for a file that does not open, `JournalDamaged` for one that is none.
    """
    _forget_revoked(party, study, block)
    rounds, index = party.chain.rounds, study.index_of(party.address)
    number = parent
    while number:
        round_ = rounds.round(study.number, number, block_identifier=block)
        if round_.included >> index & 1 and (found := _read(party, study, number)) is not None:
            return found.tensors
        number = RoundNumber(round_.parent)
    return None


def path_of(party: Party, study: Study, number: RoundNumber) -> Path:
    """Where a round's file lies."""
    return party.journal.folder / f"control-{study.number}-{number}.sealed"


def _forget_revoked(party: Party, study: Study, block: BlockNumber) -> None:
    count = party.chain.rounds.count(study.number, block_identifier=block)
    for number in map(RoundNumber, range(1, count + 1)):
        if (control := _read(party, study, number)) is None:
            continue
        ids = [ConsentId(consent) for consent in control.consents]
        if not all(party.chain.consents.active_at(ids, block, block_identifier=block)):
            path_of(party, study, number).unlink()


def _read(party: Party, study: Study, number: RoundNumber) -> Control | None:
    path = path_of(party, study, number)
    data = read_own(path, party.identity, _context(party, study, number))
    if data is None:
        return None
    wide = parameter_schema(study.spec).with_dtype("F64")
    try:
        tree = decode(data)
        if tree["format"] != _FORMAT:
            raise ValueError("format")
        return Control(tuple(tree["consents"]), decode_tensors(tree["tensors"], wide))
    except (FederatedError, KeyError, TypeError, ValueError) as exc:
        raise JournalDamaged(
            f"{path}: not a control variate of this version; remove it and train again"
        ) from exc


def _context(party: Party, study: Study, number: RoundNumber) -> bytes:
    """Binds the file to one round of one chain (32 bytes)."""
    place = bytes.fromhex(party.chain.rounds.address.removeprefix("0x"))
    chain_id = party.chain.client.chain_id
    return tagged_hash("consilium/control-context/1", chain_id, place, study.number, number)
