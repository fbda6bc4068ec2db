"""Erase an artefact of a study whose evidence need not last any longer.

Only who sealed it may: a tombstone of anybody else excuses nothing in an audit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chain.types import BlockNumber, RoundNumber, StudyId
from federated.errors import StepError
from federated.evidence import Evidence, evidence_of, tombstone_of
from federated.party import Party, signers_between
from federated.study import Study, read_study
from storage.cid import dag_cbor_cid
from storage.erasure import Answer, Node, Tombstone, erase


@dataclass(frozen=True, slots=True)
class Kept:
    """An artefact that a party sealed; `until` (seconds) it must last; its last tombstone."""

    item: Evidence
    until: int
    stone: Tombstone | None

    @property
    def erased_at(self) -> int | None:
        """When it was erased (seconds); None while a node that was asked may still have it."""
        return self.stone.erased_at if self.stone and self.stone.complete else None

    @property
    def left_at(self) -> list[str]:
        """Nodes that kept some of it, or were silent, when it was to be erased last."""
        answers = self.stone.answers if self.stone else {}
        return sorted(name for name, answer in answers.items() if answer is not Answer.ERASED)


def own_artefacts(party: Party, study: Study) -> Iterator[Kept]:
    """What this party sealed for a study, whichever of its keys a tombstone was signed with."""
    head = party.head()
    for item in own_evidence(party, study):
        yield Kept(item, keep_until(party, item.digest, study), tombstone_of(party, item, head))


def own_evidence(party: Party, study: Study) -> list[Evidence]:
    """What this party sealed for a study and the chain names."""
    items = evidence_of(party, study, party.head())
    return [item for item in items if item.account == party.address]


def erase_own(
    party: Party, number: StudyId, digest: bytes, nodes: Mapping[str, Node], reason: str
) -> Tombstone:
    """Erase one of the party's own artefacts at these nodes; leave a tombstone there.

    Raises `StepError` for what is none of its own in this study, `EvidenceNeeded` while evidence of
    a study that names it must last, and what `storage.erasure.erase` does. May be repeated for
    nodes that were silent, also after the party has exchanged its key. (By a key that it revoked,
    whoever stole it could list any block.)
    """
    block = party.head()
    study = read_study(party.chain, party.store, number, block)
    own = [item for item in own_evidence(party, study) if item.digest == digest]
    if not own:
        raise StepError(
            f"study {number}: manifest {dag_cbor_cid(digest)} is none that {party.address} "
            "submitted or finalized there: only who sealed an artefact can erase it; "
            "`consilium storage list` shows yours"
        )
    return erase(
        nodes,
        digest,
        sender=party.sender,
        reason=reason,
        now=party.chain.client.timestamp(),
        keep_until=keep_until(party, digest, study),
        former=signers_between(party.chain, party.address, own[0].block, block),
    )


def keep_until(party: Party, digest: bytes, study: Study) -> int:
    """Until when evidence must last (seconds): `refund` of the last study it was submitted to.

    Else a hospital could submit an update of a running study to one that is over, and erase it as
    evidence of that. Asks the chain alone: a study whose spec nobody has must not stop an erasure.
    """
    block = party.head()
    latest = study.terms.refund_at
    for place in range(1, party.chain.studies.count(block_identifier=block) + 1):
        number = StudyId(place)
        refund_at = party.chain.studies.terms(number, block_identifier=block).refund_at
        if refund_at > latest and _submitted(party, number, digest, block):
            latest = refund_at
    return latest


def _submitted(party: Party, study: StudyId, digest: bytes, block: BlockNumber) -> bool:
    """Whether this party did; another one could name any manifest, to have it kept."""
    rounds = party.chain.rounds
    return any(
        event.manifest == digest and event.hospital == party.address
        for place in range(1, rounds.count(study, block_identifier=block) + 1)
        for event in rounds.submissions(study, RoundNumber(place), to_block=block)
    )
