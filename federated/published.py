"""A round's published results: its manifest and its global model, verified against the chain."""

from __future__ import annotations

from chain.round_types import Round
from chain.types import BlockNumber, RoundNumber
from federated.canonical import Digest
from federated.context import state_context
from federated.errors import FederatedError, RecordError, StepError
from federated.party import Party, signer_at
from federated.round_manifest import RoundManifest, read_round_manifest
from federated.state import GlobalState, initial_state, read_state, state_digest, tensors_size
from federated.study import Study
from storage.artefact import open_artefact
from storage.signing import Signer

MODEL_KIND = "global-model"
SLACK = 1 << 20


def context_of_state(party: Party, study: Study, number: int, start: bytes, state: bytes) -> bytes:
    """What the global model and the manifest of a round are bound to (32 bytes)."""
    return state_context(
        chain_id=party.chain.client.chain_id,
        rounds=party.chain.rounds.address,
        study=study.number,
        round_number=number,
        spec=study.spec_digest,
        state=start,
        result=state,
    )


def read_result(
    party: Party, study: Study, number: RoundNumber, block: BlockNumber
) -> tuple[RoundManifest, Round, Signer]:
    """The manifest that the chain names for a finalized round, its signer the center of then.

    Raises `StepError` for a round that is not finalized, `RecordError` for a manifest that says
    something else than the chain.
    """
    round_ = party.chain.rounds.round(study.number, number, block_identifier=block)
    if not round_.finalized:
        raise _not_finalized(study, number)
    manifest, signer = read_round_manifest(party.store, round_.manifest)
    event = party.chain.rounds.finalized(study.number, number, to_block=block)
    expected = signer_at(party.chain, study.center, event.block)
    where = f"study {study.number}: round {number}: manifest"
    if signer != expected:
        raise RecordError(f"{where} is not signed by the center; refuse the model")
    context = context_of_state(party, study, number, round_.start_state, round_.state)
    wanted = {
        "context": context,
        "study": study.number,
        "round_number": number,
        "parent": round_.parent,
        "spec": study.spec_digest,
        "start_state": round_.start_state,
        "state": round_.state,
    }
    wrong = [name for name, value in wanted.items() if getattr(manifest, name) != value]
    if wrong:
        raise RecordError(f"{where} has another {wrong[0]} than the chain; refuse the model")
    return manifest, round_, signer


def open_state(party: Party, study: Study, number: RoundNumber, block: BlockNumber) -> GlobalState:
    """The state that a round ended with (0: the study's first), equal to the chain's digest.

    Raises what `read_result` does, the store's errors, and `RecordError` for a model that is not
    the one finalized on-chain.
    """
    if number == 0:
        state, wanted = initial_state(study.spec), study.terms.state
        found = state_digest(study.spec, state)
    else:
        manifest, round_, signer = read_result(party, study, number, block)
        opened = open_artefact(
            party.store,
            manifest.model,
            party.identity,
            expected_context=manifest.context,
            expected_signer=signer,
        )
        most = 2 * tensors_size(study.spec) + SLACK
        if opened.manifest.plaintext_size > most:  # no center may fill its hospitals' memory
            raise RecordError(
                f"study {study.number}: round {number}: the model has "
                f"{opened.manifest.plaintext_size} bytes, at most {most} are expected; refuse it"
            )
        (state, found), wanted = _decoded(study, number, opened.read()), round_.state
    if found != wanted:
        raise RecordError(
            f"study {study.number}: round {number}: the model in the store is not the one that "
            "was finalized on-chain; refuse it and tell the auditors"
        )
    return state


def known_state(party: Party, study: Study, number: RoundNumber, block: BlockNumber) -> GlobalState:
    """As `open_state`, once for who needs a state several times: while the process remembers it.

    It is the one that the chain names at this block, whatever the store has by now.
    """
    if number == 0:
        wanted = study.terms.state
    else:
        round_ = party.chain.rounds.round(study.number, number, block_identifier=block)
        if not round_.finalized:
            raise _not_finalized(study, number)
        wanted = round_.state
    if (kept := party.memory.state(study.spec_digest, wanted)) is not None:
        return kept
    state = open_state(party, study, number, block)
    party.memory.keep_state(study.spec_digest, wanted, state)
    return state


def _not_finalized(study: Study, number: int) -> StepError:
    return StepError(f"study {study.number}: round {number} is not finalized")


def _decoded(study: Study, number: int, data: bytes) -> tuple[GlobalState, Digest]:
    try:
        return read_state(study.spec, data)
    except FederatedError as exc:
        raise RecordError(
            f"study {study.number}: round {number}: the model file is not one of the study's"
        ) from exc
