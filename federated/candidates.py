"""Candidates: a round's proposed model and those without each hospital, for hospitals to judge.

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
TAG = "consilium/candidates/1"
_BODY: Shape = {"candidates": list, "context": 32, "models": 32, "round": int, "study": int}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model: who is left out (None: nobody), its state digest, those of its server state."""

    without: int | None
    state: Digest
    server: Mapping[str, bytes]

    @classmethod
    def of(cls, spec: StudySpec, without: int | None, state: GlobalState) -> Candidate:
        """The entry of a state."""
        parameters, server = state_files(spec, state)
        parts = {name: digest(data) for name, data in server.items()}
        whole = digest_of_parts(state.round_number, digest(parameters), parts)
        return cls(without, whole, parts)


@dataclass(frozen=True, slots=True)
class Candidates:
    """The model itself first, then by hospital left out; `models` names the sealed artefact."""

    context: bytes
    study: int
    round_number: int
    models: bytes
    items: tuple[Candidate, ...]

    @property
    def included(self) -> tuple[int, ...]:
        """Indices of the hospitals whose updates are in the model."""
        return tuple(item.without for item in self.items if item.without is not None)

    @property
    def states(self) -> dict[int | None, bytes]:
        """State digests by hospital left out."""
        return {item.without: item.state for item in self.items}


def write_candidates(store: BlockStore, candidates: Candidates, sender: Sender) -> Cid:
    """Sign, keep and pin; the caller announces it."""
    rows = [[item.without, item.state, dict(item.server)] for item in candidates.items]
    body = {
        "candidates": rows,
        "context": candidates.context,
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
    order = [-1 if item.without is None else item.without for item in items]
    if len(order) < 3 or order[0] != -1 or order != sorted(set(order)):
        raise RecordError(f"{where}: the model comes first, then each of two or more left out")
    found = Candidates(body["context"], body["study"], body["round"], body["models"], items)
    return found, record.signer


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
    spec: StudySpec, states: Iterable[tuple[int | None, GlobalState]], seen: list[Candidate]
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
    if without is not None and (type(without) is not int or not 0 <= without < 256):
        raise RecordError(f"{where}: a hospital left out has an index in [0, 256)")
    if any(not isinstance(item, bytes) or len(item) != 32 for item in (state, *server.values())):
        raise RecordError(f"{where}: a state is named by a digest of 32 bytes")
    return Candidate(without, Digest(state), server)
