"""What binds every artefact of a round: chain, contract, study, round, spec, input state, cohort."""

from __future__ import annotations

from federated.canonical import Digest, tagged_hash
from federated.codec import Address
from federated.errors import CanonicalError


def update_context(
    *,
    chain_id: int,
    rounds: Address,
    study: int,
    round_number: int,
    spec: bytes,
    state: bytes,
    root: bytes,
) -> Digest:
    """H("consilium/context/1", chain id, Rounds' address, study, round, spec, state, freeze root).

    `rounds` as its 20 bytes; digests and root are 32 bytes each. Other uses of it (HPKE info,
    associated data, masks, signatures) hash it again under tags of their own.
    """
    if any(len(item) != 32 for item in (spec, state, root)):
        raise CanonicalError("context: spec, state and root have 32 bytes each")
    contract = bytes.fromhex(rounds.removeprefix("0x"))
    if len(contract) != 20:
        raise CanonicalError("context: the address of Rounds has 20 bytes")
    parts = (chain_id, contract, study, round_number, spec, state, root)
    return tagged_hash("consilium/context/1", *parts)
