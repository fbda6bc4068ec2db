"""Rounds: who submitted, what was included, and whether it gives the finalized model."""

from __future__ import annotations

from functools import partial

from eth_abi.abi import encode

from chain.keccak import keccak
from chain.round_events import Finalized, Frozen, Submitted
from federated.aggregate import WeightedSum
from federated.auditor.again import judge_again
from federated.auditor.erased import model_erased, update_erased
from federated.auditor.facts import Facts
from federated.auditor.verdict import Checks, Level, Place
from federated.chosen import spec_of_round
from federated.combining import Total, total_of
from federated.drawing import expected
from federated.exclusion import ExclusionCode
from federated.judging import check_manifest, is_oversized
from federated.missing import confirmed_missing, topic_of_missing
from federated.party import Party
from federated.published import open_state
from federated.round_manifest import RoundManifest
from federated.spec import StudySpec
from federated.state import next_state, state_digest
from federated.study import Study
from federated.unopened import confirmed_unopened, topic_of_unopened
from storage.errors import ArtefactError, MalformedBlock
from storage.manifest import read_manifest
from storage.store import surely


def check_round(
    party: Party, study: Study, facts: Facts, checks: Checks, level: Level
) -> WeightedSum | None:
    """Check submissions and, where the round is finalized, everything that it binds.

    Gives the sum of the included updates, where this level has them, all are as they should be, and
    the strategy sums.
    """
    _check_start(party, study, facts, checks)
    _check_hospitals(party, study, facts, checks)
    for event in facts.submitted.values():
        _check_submission(party, study, facts, event, checks)
    if facts.manifest is None:
        return None
    with checks.guarded("inputs", Place(facts.number)):
        bound = party.chain.rounds.finalized(study.number, facts.number, to_block=facts.block)
        _check_inputs(facts, facts.manifest, bound, checks)
        _check_exclusions(party, study, facts, facts.manifest, checks)
    _check_model_bytes(party, study, facts, facts.manifest, checks)
    if level is not Level.KEYED:
        return None
    return _check_aggregate(party, study, facts, facts.manifest, checks)


def _check_start(party: Party, study: Study, facts: Facts, checks: Checks) -> None:
    round_, expected = facts.round, study.terms.state
    if round_.parent:
        parent = party.chain.rounds.round(study.number, round_.parent, block_identifier=facts.block)
        expected = parent.state
    ok = round_.start_state == expected and round_.parent < facts.number
    checks.add("start-state", ok, "not the parent's finalized state", Place(facts.number))


def _check_hospitals(party: Party, study: Study, facts: Facts, checks: Checks) -> None:
    """A round is for all hospitals that stood when it opened, or for those drawn from them."""
    at = Place(facts.number)
    with checks.guarded("hospitals", at):
        rounds = party.chain.rounds
        opened = rounds.opening(study.number, facts.number, to_block=facts.block)
        ok = facts.round.enrolled == opened.enrolled == expected(party, study, opened)
        checks.add("hospitals", ok, "not the hospitals that the draw gives", at)


def _check_submission(
    party: Party, study: Study, facts: Facts, event: Submitted, checks: Checks
) -> None:
    """Manifest and bytes of an update; what was left out for its form need not have one.

    Nor what is in no model because its round ran out: else one hospital's junk would spoil the
    audit of a study.
    """
    at, code = Place(event.round, event.index), facts.code_of(event.index)
    if code in (ExclusionCode.SCHEMA, ExclusionCode.LIST_MISSING):
        return
    if facts.code_unknown(event.index):  # the check of the round's manifest says so
        return
    excused = code is ExclusionCode.UNDECRYPTABLE
    excuse = partial(update_erased, party, study, facts, event.index)
    with checks.guarded("update-manifest", at, excuse):
        if excused and _is_unopened(party, study, facts.frozen[event.index], event):
            return
        try:
            manifest = check_manifest(party, study, facts.frozen[event.index], event)
        except (ArtefactError, MalformedBlock) as exc:
            if not facts.round.lapsed:
                raise
            checks.note("update-manifest", f"of no model, as the round ran out: {exc}", at)
            return
        checks.add("update-manifest", True, at=at)
        if excused or (code is ExclusionCode.SHAPE and is_oversized(study, manifest)):
            return
        with checks.guarded("update-bytes", at, excuse):
            if is_oversized(study, manifest):
                checks.add("update-bytes", False, "more bytes than any update has", at)
                return
            payload = party.store.cat(manifest.payload, 0, manifest.payload_size + 1)
            size = sum(len(chunk) for chunk in payload)
            ok = size == manifest.payload_size
            checks.add("update-bytes", ok, f"{size} bytes, not {manifest.payload_size}", at)


def _check_inputs(facts: Facts, manifest: RoundManifest, event: Finalized, checks: Checks) -> None:
    number, round_ = facts.number, facts.round
    early = {
        void.index
        for void in facts.voids.values()
        if (void.block, void.log_index) < (event.block, event.log_index)
    }
    due = {index: item for index, item in facts.submitted.items() if index not in early}
    listed = {entry.hospital: entry for entry in manifest.entries}
    for index in sorted(due.keys() | listed.keys()):
        at = Place(number, index)
        if not checks.add("not-omitted", index in listed, "its submission is left out", at):
            continue
        entry, held, frozen = listed[index], due.get(index), facts.frozen.get(index)
        same = (
            held is not None
            and frozen is not None
            and (entry.manifest, entry.commitment, entry.freeze)
            == (held.manifest, held.commitment, frozen.freeze.digest())
        )
        checks.add("input", same, "not the submission on-chain", at)
        weight = frozen is not None and entry.weight == frozen.freeze.weight
        checks.add("weight", weight, "not the frozen weight", at)
    included = manifest.included == round_.included == event.included
    checks.add("included", included, "not the hospitals on-chain", Place(number))
    chosen = [due[index].digest() for index in sorted(due) if round_.included >> index & 1]
    found = inputs_digest(manifest.study, number, round_.included, chosen)
    checks.add("inputs", found == round_.inputs, "not the digest on-chain", Place(number))


def inputs_digest(study: int, number: int, included: int, digests: list[bytes]) -> bytes:
    """keccak256(abi.encode(study, round, included, digests)), as Rounds computes it."""
    types = ["uint256", "uint256", "uint256", "bytes32[]"]
    return keccak(encode(types, [study, number, included, digests]))


def _check_exclusions(
    party: Party, study: Study, facts: Facts, manifest: RoundManifest, checks: Checks
) -> None:
    """What can be told of exclusions without a key: whether an auditor missed the list.

    The auditor's word counts, not the store of today: a list may turn up after the round.
    """
    for entry in manifest.entries:
        frozen = facts.frozen.get(entry.hospital)
        if entry.code is ExclusionCode.LIST_MISSING and frozen is not None:
            search = partial(confirmed_missing, party, study, frozen)
            detail = "no auditor of the study confirmed that the list of leaves is missing"
            at = Place(facts.number, entry.hospital)
            with checks.guarded("exclusion", at):
                ok = surely(party.store, topic_of_missing(frozen), search)
                checks.add("exclusion", ok, detail, at)


def _is_unopened(party: Party, study: Study, frozen: Frozen, event: Submitted) -> bool:
    search = partial(confirmed_unopened, party, study, frozen, event)
    return surely(party.store, topic_of_unopened(event), search) is not None


def _check_model_bytes(
    party: Party, study: Study, facts: Facts, manifest: RoundManifest, checks: Checks
) -> None:
    at = Place(facts.number)
    with checks.guarded(
        "model-bytes", at, partial(model_erased, party, study, facts, facts.number)
    ):
        sealed = read_manifest(party.store, manifest.model)
        size = sum(len(chunk) for chunk in party.store.cat(sealed.payload))
        ok = size == sealed.payload_size and sealed.context == manifest.context
        checks.add("model-bytes", ok, "not the sealed model of this round", at)


def _check_aggregate(
    party: Party, study: Study, facts: Facts, manifest: RoundManifest, checks: Checks
) -> WeightedSum | None:
    """Judge and add all listed updates again; a doubtful one makes the mean pointless."""
    sums: list[WeightedSum | None] = []
    with checks.guarded("aggregate", Place(facts.number)):
        spec = spec_of_round(party, study, facts.number, facts.block)
        sums.append(_check_sum(party, study, facts, manifest, checks, spec))
    return sums[0] if sums else None  # none where nobody can tell with which settings


def _check_sum(
    party: Party,
    study: Study,
    facts: Facts,
    manifest: RoundManifest,
    checks: Checks,
    spec: StudySpec,
) -> WeightedSum | None:
    total = total_of(spec, party.journal.folder)
    listed = [entry for entry in manifest.entries if entry.hospital in facts.submitted]
    agreed = [_add(party, study, facts, entry.hospital, total, checks) for entry in listed]
    if len(agreed) != len(manifest.entries) or not all(agreed):
        return None
    start_gone = partial(model_erased, party, study, facts, facts.round.parent)
    with checks.guarded("aggregate", Place(facts.number), start_gone):
        start = open_state(party, study, facts.round.parent, facts.block)
        state = next_state(spec, start, total.mean(), facts.number)
        ok = state_digest(study.spec, state) == facts.round.state
        detail = "the included updates do not give the finalized model"
        checks.add("aggregate", ok, detail, Place(facts.number))
    gone = partial(model_erased, party, study, facts, facts.number)
    with checks.guarded("model", Place(facts.number), gone):
        open_state(party, study, facts.number, facts.block)
        checks.add("model", True, at=Place(facts.number))
    return total if isinstance(total, WeightedSum) else None


def _add(
    party: Party, study: Study, facts: Facts, hospital: int, total: Total, checks: Checks
) -> bool:
    """Judge one update by rule, add it if it is included; whether center and rule agree."""
    at, code = Place(facts.number, hospital), facts.code_of(hospital)
    frozen = facts.frozen[hospital]
    if code is ExclusionCode.LIST_MISSING:
        return True  # judged without a key
    agree = False
    with checks.guarded("exclusion", at, partial(update_erased, party, study, facts, hospital)):
        event = facts.submitted[hospital]
        if code is ExclusionCode.UNDECRYPTABLE and _is_unopened(party, study, frozen, event):
            return checks.add("exclusion", True, at=at)
        judged = judge_again(party, study, frozen, event, code, total)
        detail = f"the manifest says {code or 'included'}, the rule {judged.code or 'included'}"
        agree = checks.add("exclusion", judged.code == code, detail, at)
    return agree  # noqa: RET504  where the guard caught an error, they do not agree
