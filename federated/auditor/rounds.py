"""Rounds: who submitted, what was included, and whether it gives the finalized model."""

from __future__ import annotations

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from chain.rounds import Finalized, Frozen, Round, Submitted
from chain.types import BlockNumber, RoundNumber
from federated.aggregate import WeightedSum
from federated.auditor.verdict import Checks, Level, Place
from federated.exclusion import ExclusionCode
from federated.grid import Grid
from federated.judging import check_manifest, judge_submission, leaves_of
from federated.missing import confirmed_missing
from federated.models import parameter_schema
from federated.party import Party
from federated.published import open_state, read_result
from federated.round_manifest import RoundManifest
from federated.state import next_state, state_digest
from federated.study import Study
from storage.manifest import read_manifest


def check_round(
    party: Party,
    study: Study,
    number: RoundNumber,
    block: BlockNumber,
    checks: Checks,
    level: Level,
) -> None:
    """Check submissions and, where the round is finalized, everything that it binds."""
    rounds = party.chain.rounds
    round_ = rounds.round(study.number, number, block_identifier=block)
    _check_start(party, study, number, round_, block, checks)
    with checks.guarded("submissions", Place(number)):
        frozen = {
            e.freeze.hospital: e for e in rounds.freezes(study.number, number, to_block=block)
        }
        submitted = rounds.submissions(study.number, number, to_block=block)
        checks.add("submissions", True, at=Place(number))
        for event in submitted:
            _check_submission(party, study, frozen[event.index], event, checks)
        if round_.finalized:
            _check_result(party, study, number, block, (round_, frozen, submitted), checks, level)


def _check_start(
    party: Party, study: Study, number: int, round_: Round, block: BlockNumber, checks: Checks
) -> None:
    rounds = party.chain.rounds
    expected = study.terms.state
    if round_.parent:
        expected = rounds.round(study.number, round_.parent, block_identifier=block).state
    ok = round_.start_state == expected and round_.parent < number
    checks.add("start-state", ok, "not the parent's finalized state", Place(number))


def _check_submission(
    party: Party, study: Study, frozen: Frozen, event: Submitted, checks: Checks
) -> None:
    at = Place(event.round, event.index)
    with checks.guarded("update-manifest", at):
        manifest = check_manifest(party, study, frozen, event)
        checks.add("update-manifest", True, at=at)
        with checks.guarded("update-bytes", at):
            size = sum(len(chunk) for chunk in party.store.cat(manifest.payload))
            ok = size == manifest.payload_size
            checks.add("update-bytes", ok, f"{size} bytes, not {manifest.payload_size}", at)


Inputs = tuple[Round, dict[int, Frozen], list[Submitted]]


def _check_result(
    party: Party,
    study: Study,
    number: RoundNumber,
    block: BlockNumber,
    inputs: Inputs,
    checks: Checks,
    level: Level,
) -> None:
    with checks.guarded("round-manifest", Place(number)):
        manifest, round_, _ = read_result(party, study, number, block)
        checks.add("round-manifest", True, at=Place(number))
        event = party.chain.rounds.finalized(study.number, number, to_block=block)
        _check_inputs(party, study, manifest, inputs, event, checks)
        _check_exclusions(party, study, manifest, inputs, checks)
        with checks.guarded("model-bytes", Place(number)):
            sealed = read_manifest(party.store, manifest.model)
            size = sum(len(chunk) for chunk in party.store.cat(sealed.payload))
            ok = size == sealed.payload_size and sealed.context == manifest.context
            checks.add("model-bytes", ok, "not the sealed model of this round", Place(number))
        if level is Level.KEYED:
            _check_aggregate(party, study, number, block, (round_, manifest, inputs), checks)


def _check_inputs(
    party: Party,
    study: Study,
    manifest: RoundManifest,
    inputs: Inputs,
    event: Finalized,
    checks: Checks,
) -> None:
    round_, frozen, submitted = inputs
    number = manifest.round_number
    voids = party.chain.rounds.voids(study.number, to_block=event.block)
    early = {
        v.index
        for v in voids
        if v.round == number and (v.block, v.log_index) < (event.block, event.log_index)
    }
    due = {item.index: item for item in submitted if item.index not in early}
    listed = {entry.hospital: entry for entry in manifest.entries}
    for index in sorted(due.keys() | listed.keys()):
        at = Place(number, index)
        if not checks.add("not-omitted", index in listed, "its submission is left out", at):
            continue
        entry, held = listed[index], due.get(index)
        same = held is not None and (entry.manifest, entry.commitment, entry.freeze) == (
            held.manifest,
            held.commitment,
            frozen[index].freeze.digest(),
        )
        checks.add("input", same, "not the submission on-chain", at)
        weight = index in frozen and entry.weight == frozen[index].freeze.weight
        checks.add("weight", weight, "not the frozen weight", at)
    included = manifest.included == round_.included == event.included
    checks.add("included", included, "not the hospitals on-chain", Place(number))
    chosen = [due[index].digest() for index in sorted(due) if round_.included >> index & 1]
    found = inputs_digest(study.number, number, round_.included, chosen)
    checks.add("inputs", found == round_.inputs, "not the digest on-chain", Place(number))


def inputs_digest(study: int, number: int, included: int, digests: list[bytes]) -> bytes:
    """keccak256(abi.encode(study, round, included, digests)), as Rounds computes it."""
    types = ["uint256", "uint256", "uint256", "bytes32[]"]
    return keccak(encode(types, [study, number, included, digests]))


def _check_exclusions(
    party: Party, study: Study, manifest: RoundManifest, inputs: Inputs, checks: Checks
) -> None:
    """What can be told of exclusions without a key: their form, and that a list is missing."""
    for entry in manifest.entries:
        if entry.code is ExclusionCode.LIST_MISSING and entry.hospital in inputs[1]:
            frozen = inputs[1][entry.hospital]
            ok = leaves_of(party.store, frozen) is None or confirmed_missing(party, study, frozen)
            at = Place(manifest.round_number, entry.hospital)
            checks.add("exclusion", ok, "the list is there and no auditor missed it", at)


def _check_aggregate(
    party: Party,
    study: Study,
    number: RoundNumber,
    block: BlockNumber,
    parts: tuple[Round, RoundManifest, Inputs],
    checks: Checks,
) -> None:
    round_, manifest, (_, frozen, submitted) = parts
    events = {event.index: event for event in submitted}
    total = WeightedSum(parameter_schema(study.spec), Grid.of(study.spec.grid))
    whole = True
    for entry in manifest.entries:
        at = Place(number, entry.hospital)
        with checks.guarded("exclusion", at):
            whole = False
            judged = judge_submission(party, study, frozen[entry.hospital], events[entry.hospital])
            detail = f"the manifest says {entry.code or 'included'}, the rule {judged.code}"
            checks.add("exclusion", judged.code == entry.code, detail, at)
            if entry.code is None and judged.vector is not None:
                total.add([judged.vector], frozen[entry.hospital].freeze.weight)
            whole = True
        if not whole:
            return
    with checks.guarded("aggregate", Place(number)):
        start = open_state(party, study, RoundNumber(round_.parent), block)
        state = next_state(study.spec, start, total.mean(), number)
        ok = state_digest(study.spec, state) == round_.state
        detail = "the included updates do not give the finalized model"
        checks.add("aggregate", ok, detail, Place(number))
    with checks.guarded("model", Place(number)):
        open_state(party, study, number, block)
        checks.add("model", True, at=Place(number))
