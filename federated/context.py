"""What every artefact of a round is bound to, from the chain down to the cohort."""

from __future__ import annotations

from federated.canonical import Digest, tagged_hash
from federated.errors import CanonicalError


def update_context(
    *,
    chain_id: int,
    rounds: str,
    study: int,
    round_number: int,
    spec: bytes,
    state: bytes,
    root: bytes,
) -> Digest:
    """H("consilium/context/1", chain id, Rounds' address, study, round, spec, state, freeze root).

    `rounds` (0x text) as its 20 bytes; digests and root are 32 bytes each. Other uses of it (HPKE
    info, associated data, masks, signatures) hash it again under tags of their own.
    """
    place = _place(chain_id, rounds, study, round_number)
    return tagged_hash("consilium/context/1", *place, *_digests(spec, state, root))


def state_context(
    *,
    chain_id: int,
    rounds: str,
    study: int,
    round_number: int,
    spec: bytes,
    state: bytes,
    result: bytes,
) -> Digest:
    """What a round's global model and manifest are bound to: as `update_context`, with the state
    digest that the round ends with in the place of a root, under a tag of its own."""
    place = _place(chain_id, rounds, study, round_number)
    return tagged_hash("consilium/state-context/1", *place, *_digests(spec, state, result))


def candidates_context(
    *,
    chain_id: int,
    rounds: str,
    study: int,
    round_number: int,
    spec: bytes,
    state: bytes,
    result: bytes,
) -> Digest:
    """What a round's candidates and the reports on them are bound to, before it is finalized.

    As `state_context`, under a tag of its own: `result` is the state that the center proposes.
    """
    place = _place(chain_id, rounds, study, round_number)
    return tagged_hash("consilium/candidates-context/1", *place, *_digests(spec, state, result))


def candidates_topic(*, chain_id: int, rounds: str, study: int, round_number: int) -> Digest:
    """Where the candidates of a round are announced."""
    place = _place(chain_id, rounds, study, round_number)
    return tagged_hash("consilium/candidates-topic/1", *place)


def _place(
    chain_id: int, rounds: str, study: int, round_number: int
) -> tuple[int, bytes, int, int]:
    contract = bytes.fromhex(rounds.removeprefix("0x"))
    if len(contract) != 20:
        raise CanonicalError("context: the address of Rounds has 20 bytes")
    return chain_id, contract, study, round_number


def _digests(*items: bytes) -> tuple[bytes, ...]:
    if any(len(item) != 32 for item in items):
        raise CanonicalError("context: digests and roots have 32 bytes each")
    return items
