"""What finished or erased studies leave in a member's store, and what a running study needs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress

from chain.types import BlockNumber, RoundNumber, StudyId
from federated.candidates import read_candidates, topic_of_candidates
from federated.errors import FederatedError, StepError
from federated.evidence import Evidence, evidence_of, lawful_tombstone
from federated.indexing import index_roots
from federated.party import Party
from federated.round_manifest import read_round_manifest
from federated.study import Study, read_study
from storage.cid import Cid, dag_cbor_cid
from storage.erasure import Node, date_of, envelopes_of
from storage.errors import ArtefactError, CorruptBlock, MalformedBlock, MissingBlock
from storage.garbage import Garbage, find_garbage
from storage.manifest import read_manifest


def find_leftovers(party: Party, store: Node, give_up: Collection[StudyId] = ()) -> Garbage:
    """What may go from a store: artefacts that their senders erased lawfully, and all of the
    studies in `give_up`. Changes nothing.

    Raises `StepError` for a study that is given up before its `refund`, and the store's errors
    where it cannot be told what a running study needs.
    """
    block, now = party.head(), party.chain.client.timestamp()
    roots: set[Cid] = set()
    loose: set[Cid] = set()
    needed: set[Cid] = set()
    for place in range(1, party.chain.studies.count(block_identifier=block) + 1):
        number = StudyId(place)
        refund_at = party.chain.studies.terms(number, block_identifier=block).refund_at
        if number in give_up and now < refund_at:
            raise StepError(
                f"study {number} is not over: its evidence must last until "
                f"{date_of(refund_at)}, for another {refund_at - now} s; give it up after that"
            )
        try:
            study = read_study(party.chain, party.store, number, block)
            own = set(roots_of(party, study, block))
        except MissingBlock:
            if now < refund_at:  # what a running study needs cannot be told: nothing may go
                raise
            continue  # it was given up here before
        erased: set[Cid] = set()
        if now >= refund_at:
            for item in evidence_of(party, study, block):
                envelopes, blocks = _erased(party, item, refund_at, block)
                erased |= envelopes
                loose |= blocks
        roots |= own if number in give_up else erased
        needed |= set() if number in give_up else own - erased
    return find_garbage(store, roots - needed, loose - needed)


def roots_of(party: Party, study: Study, block: BlockNumber) -> Iterator[Cid]:
    """What members pin for a study: spec, lists of leaves, manifests, envelopes, reports."""
    rounds, store = party.chain.rounds, party.store
    yield dag_cbor_cid(study.spec_digest)
    for place in range(1, rounds.count(study.number, block_identifier=block) + 1):
        number = RoundNumber(place)
        for event in rounds.freezes(study.number, number, to_block=block):
            yield dag_cbor_cid(event.freeze.leaf_list)
        yield from _candidates(party, study, number)
        round_ = rounds.round(study.number, number, block_identifier=block)
        if round_.finalized:
            yield dag_cbor_cid(round_.manifest)
            yield from map(dag_cbor_cid, read_round_manifest(store, round_.manifest)[0].reports)
    for item in evidence_of(party, study, block):
        yield from _envelopes(party, item.digest)
    yield from index_roots(party, study)


def _candidates(party: Party, study: Study, number: RoundNumber) -> Iterator[Cid]:
    for cid in party.store.announced(topic_of_candidates(party, study.number, number)):
        with suppress(ArtefactError, CorruptBlock, FederatedError, MalformedBlock, MissingBlock):
            candidates, _ = read_candidates(party.store, cid)
            if (candidates.study, candidates.round_number) == (study.number, number):
                yield cid
                yield from _envelopes(party, candidates.models)


def _envelopes(party: Party, digest: bytes) -> list[Cid]:
    """Of this artefact alone: anyone may announce another study's, to have that collected."""
    with suppress(ArtefactError, CorruptBlock, MalformedBlock, MissingBlock):
        return envelopes_of([party.store], read_manifest(party.store, digest))
    return []


def _erased(
    party: Party, item: Evidence, refund_at: int, block: BlockNumber
) -> tuple[set[Cid], set[Cid]]:
    """Envelopes and blocks of an artefact with a lawful tombstone of whoever sealed it.

    Pins are taken from envelopes alone that are this artefact's: a tombstone may list anything.
    """
    stone = lawful_tombstone(party, item, refund_at, block)
    if stone is None:
        return set(), set()
    return set(_envelopes(party, item.digest)), set(stone.blocks)
