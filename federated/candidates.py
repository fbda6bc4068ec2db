"""Candidates: a round's proposed model and those without some hospitals, for hospitals to judge.

One sealed artefact holds the parameters of all, one after the other, each of the same size; a
record that the center signs lists the state digest of each. A hospital opens the one, checks it
against the other, and reports on digests: whoever was given other models reports on other digests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from federated.canonical import Digest, digest
from federated.context import candidates_context, candidates_topic
from federated.contribution.coalitions import in_order, members, set_of
from federated.errors import RecordError
from federated.models import parameter_schema
from federated.party import Party
from federated.schema import Parameters
from federated.spec import StudySpec
from federated.state import GlobalState, digest_of_parts, state_files
from federated.study import Study
from federated.tensors import decode_tensors, encoded_size
from storage.cid import Cid, Codec
from storage.signed import Shape, open_record, sign_record
from storage.signing import Sender, Signer
from storage.store import BlockStore

KIND = "candidates"
TAG = "consilium/candidates/3"
_BODY: Shape = {
    "candidates": list,
    "context": 32,
    "included": list,
    "models": 32,
    "round": int,
    "study": int,
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model: the set of who is left out, its state digest, those of its server state."""

    without: int
    state: Digest
    server: Mapping[str, bytes]

    @classmethod
    def of(cls, spec: StudySpec, without: int, state: GlobalState) -> Candidate:
        """The entry of a state."""
        parameters, server = state_files(spec, state)
        parts = {name: digest(data) for name, data in server.items()}
        whole = digest_of_parts(state.round_number, digest(parameters), parts)
        return cls(without, whole, parts)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Models as `contribution.order_key` has them; `models` names the sealed artefact.

    `included` are the indices of the hospitals whose updates are in the round's own model.
    """

    context: bytes
    study: int
    round_number: int
    models: bytes
    included: tuple[int, ...]
    items: tuple[Candidate, ...]

    @property
    def states(self) -> dict[int, bytes]:
        """State digests by the set of hospitals left out."""
        return {item.without: item.state for item in self.items}


def write_candidates(store: BlockStore, candidates: Candidates, sender: Sender) -> Cid:
    """Sign, keep and pin; the caller announces it."""
    rows = [
        [list(members(item.without)), item.state, dict(item.server)] for item in candidates.items
    ]
    body = {
        "candidates": rows,
        "context": candidates.context,
        "included": list(candidates.included),
        "models": candidates.models,
        "round": candidates.round_number,
        "study": candidates.study,
    }
    cid = store.put_block(Codec.DAG_CBOR, sign_record(TAG, body, sender))
    store.pin(cid)
    return cid


def read_candidates(store: BlockStore, cid: Cid) -> tuple[Candidates, Signer]:
    """The record and who signed it. Raises `RecordError` and what the store raises."""
    record = open_record(TAG, store.get_block(cid), _BODY)
    where, body = f"candidates {cid}", record.body
    items = tuple(_read_item(row, where) for row in body["candidates"])
    order = [item.without for item in items]
    if not order or order[0] or order != in_order(order):
        raise RecordError(f"{where}: the model comes first, then those without hospitals")
    try:
        included = set_of(body["included"])
    except ValueError as exc:
        raise RecordError(f"{where}: {exc}") from exc
    if not included or any(without & ~included for without in order):
        raise RecordError(f"{where}: who is left out is not in the model")
    place = (body["context"], body["study"], body["round"], body["models"])
    return Candidates(*place, members(included), items), record.signer


def context_of_candidates(
    party: Party, study: Study, round_number: int, start: bytes, state: bytes
) -> bytes:
    """What candidates that propose `state`, and reports on them, are bound to (32 bytes)."""
    return candidates_context(
        chain_id=party.chain.client.chain_id,
        rounds=party.chain.rounds.address,
        study=study.number,
        round_number=round_number,
        spec=study.spec_digest,
        state=start,
        result=state,
    )


def topic_of_candidates(party: Party, study: int, round_number: int) -> bytes:
    """Where a round's candidates are announced (32 bytes)."""
    return candidates_topic(
        chain_id=party.chain.client.chain_id,
        rounds=party.chain.rounds.address,
        study=study,
        round_number=round_number,
    )


def encode_models(
    spec: StudySpec, states: Iterable[tuple[int, GlobalState]], seen: list[Candidate]
) -> Iterator[bytes]:
    """The artefact's plaintext, a model at a time; each one's entry is added to `seen`."""
    for without, state in states:
        seen.append(Candidate.of(spec, without, state))
        yield state_files(spec, state)[0]


def models_size(spec: StudySpec, count: int) -> int:
    """Bytes of the plaintext with so many models."""
    return count * encoded_size(parameter_schema(spec))


def decode_models(
    spec: StudySpec, candidates: Candidates, pieces: Iterable[bytes]
) -> Iterator[tuple[Candidate, Parameters]]:
    """Each candidate with its parameters, checked against its digest; memory is one model.

    Act on them after the last one alone. Raises `RecordError` for another model than was signed,
    `TensorError` for what is none.
    """
    schema = parameter_schema(spec)
    size, parts = encoded_size(schema), iter(pieces)
    buffer = bytearray()
    for item in candidates.items:
        while len(buffer) < size and (piece := next(parts, b"")):
            buffer += piece
        data = bytes(buffer[:size])
        del buffer[:size]
        found = digest_of_parts(candidates.round_number, digest(data), item.server)
        if found != item.state:
            raise RecordError(
                f"study {candidates.study}: round {candidates.round_number}: a candidate is not "
                "the model whose digest the center signed; report nothing and tell the auditors"
            )
        yield item, decode_tensors(data, schema)
    if buffer or next(parts, b""):
        raise RecordError(f"study {candidates.study}: more candidates are sealed than were signed")


class Pieces:
    """Byte strings as a stream that `seal` reads."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; empty at the end."""
        if not self._left:
            self._left = memoryview(next(self._pieces, b""))
        piece, self._left = self._left[:size], self._left[size:]
        return bytes(piece)


def _read_item(row: Any, where: str) -> Candidate:
    if not isinstance(row, list) or len(row) != 3 or not isinstance(row[2], dict):
        raise RecordError(f"{where}: a candidate is who is left out, a state and its server state")
    without, state, server = row
    try:
        left = set_of(without)
    except (TypeError, ValueError) as exc:
        raise RecordError(f"{where}: {exc}") from exc
    if any(not isinstance(item, bytes) or len(item) != 32 for item in (state, *server.values())):
        raise RecordError(f"{where}: a state is named by a digest of 32 bytes")
    return Candidate(left, Digest(state), server)
