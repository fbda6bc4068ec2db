"""What a strategy has a hospital keep between rounds: a control variate, layers of its own.

One file a round in its home, sealed to the hospital, made with the update of that round. It names
the consents whose records it has seen, also through the file that it goes on from: once one of them
is revoked the file is removed, and the hospital begins anew. In a round it takes the newest that
belongs to a model which the round descends from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from chain.types import BlockNumber, ConsentId, RoundNumber
from federated.canonical import decode, encode, tagged_hash
from federated.errors import FederatedError, JournalDamaged
from federated.models import parameter_schema
from federated.party import Party
from federated.schema import Parameters, Schema
from federated.state import GlobalState
from federated.strategies import strategy_of
from federated.study import Study
from federated.tensors import decode_tensors, encode_tensors
from storage.own_file import read_own, write_own

_FORMAT = "consilium/kept/1"
_NEUTRAL = (
    "it never trained in this model's rounds, or a patient whom they saw withdrew; the model "
    "normalises neutrally and may be far off: personalise it once the study is over"
)


@dataclass(frozen=True, slots=True)
class Kept:
    """Float64 tensors, and the consents (32 bytes) that they come from."""

    consents: tuple[bytes, ...]
    tensors: Parameters

    @classmethod
    def after(cls, earlier: Kept | None, consents: Iterable[bytes], tensors: Parameters) -> Kept:
        """What a round leaves to keep, which went on from what was kept earlier."""
        seen = {*consents, *(() if earlier is None else earlier.consents)}
        return cls(tuple(sorted(seen)), tensors)


@dataclass(frozen=True, slots=True)
class OwnModel:
    """The global model with the hospital's own layers, and the consents that these come from.

    `warning` says when a study has such layers and this hospital none.
    """

    parameters: Parameters
    consents: tuple[bytes, ...]
    warning: str


def write_kept(party: Party, study: Study, number: RoundNumber, kept: Kept) -> None:
    """Seal and replace the round's file, durably. Raises what `write_own` does."""
    content = {
        "format": _FORMAT,
        "consents": list(kept.consents),
        "tensors": encode_tensors(kept.tensors, _schema(study)),
    }
    path = path_of(party, study, number)
    write_own(path, encode(content), party.identity, _context(party, study, number))


def latest_kept(party: Party, study: Study, parent: RoundNumber, block: BlockNumber) -> Kept | None:
    """The newest of `parent` and the rounds that it descends from; None where there is none.

    First removes every file of the study that saw a consent which is not active at the block.
    Raises the store's errors for a file that does not open, `JournalDamaged` for one that is none.
    """
    if not strategy_of(study.spec.strategy.name).keeps:
        return None
    _forget_revoked(party, study, block)
    rounds, index = party.chain.rounds, study.index_of(party.address)
    number = parent
    while number:
        round_ = rounds.round(study.number, number, block_identifier=block)
        if round_.included >> index & 1 and (found := _read(party, study, number)) is not None:
            return found
        number = RoundNumber(round_.parent)
    return None


def own_model(party: Party, study: Study, state: GlobalState, block: BlockNumber) -> OwnModel:
    """What the hospital uses in the place of a round's global model. Raises as `latest_kept`."""
    strategy = strategy_of(study.spec.strategy.name)
    kept = latest_kept(party, study, RoundNumber(state.round_number), block)
    if kept is not None:
        return OwnModel(strategy.begins(state.parameters, kept.tensors), kept.consents, "")
    warning = f"no layers of this hospital's own: {_NEUTRAL}" if _leaves_out(study) else ""
    return OwnModel(strategy.begins(state.parameters, None), (), warning)


def _leaves_out(study: Study) -> bool:
    schema = parameter_schema(study.spec)
    return strategy_of(study.spec.strategy.name).declared(schema).size < schema.size


def path_of(party: Party, study: Study, number: RoundNumber) -> Path:
    """Where a round's file lies."""
    return party.journal.folder / f"kept-{study.number}-{number}.sealed"


def _forget_revoked(party: Party, study: Study, block: BlockNumber) -> None:
    count = party.chain.rounds.count(study.number, block_identifier=block)
    for number in map(RoundNumber, range(1, count + 1)):
        if (kept := _read(party, study, number)) is None:
            continue
        ids = [ConsentId(consent) for consent in kept.consents]
        if not all(party.chain.consents.active_at(ids, block, block_identifier=block)):
            path_of(party, study, number).unlink()


def _read(party: Party, study: Study, number: RoundNumber) -> Kept | None:
    path = path_of(party, study, number)
    data = read_own(path, party.identity, _context(party, study, number))
    if data is None:
        return None
    try:
        tree = decode(data)
        if tree["format"] != _FORMAT:
            raise ValueError("format")
        return Kept(tuple(tree["consents"]), decode_tensors(tree["tensors"], _schema(study)))
    except (FederatedError, KeyError, TypeError, ValueError) as exc:
        raise JournalDamaged(
            f"{path}: not what this version keeps between rounds; remove it and train again"
        ) from exc


def _schema(study: Study) -> Schema:
    return strategy_of(study.spec.strategy.name).own(parameter_schema(study.spec))


def _context(party: Party, study: Study, number: RoundNumber) -> bytes:
    """Binds the file to one round of one chain (32 bytes)."""
    place = bytes.fromhex(party.chain.rounds.address.removeprefix("0x"))
    chain_id = party.chain.client.chain_id
    return tagged_hash("consilium/kept-context/1", chain_id, place, study.number, number)
