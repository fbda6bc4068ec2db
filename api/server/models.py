"""A model's provenance: by the digest of its state, back to the study's beginning."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import Field

from api.server.problems import ApiProblem, documented
from api.server.rounds import CohortOfRound, Indices, cohort_of
from api.server.site import Limited, TheSite, ask, router
from api.server.text import Account, Answer, BlockNo, Digest, DigestIn, bits, raw, shown
from api.server.workers import View
from chain.attestations import Attested
from chain.rounds import Round
from chain.types import RoundNumber, StudyId

routes = router("models")

State = Annotated[
    DigestIn, Path(title="State", description="Digest of the model and server state.")
]


class Ancestor(Answer):
    """A round that the model descends from, the newest first; the last one's parent is 0."""

    round: int = Field(title="Round", examples=[1])
    parent: int = Field(title="Parent", description="0: the study's own first state.")
    start_state: Digest = Field(title="Start state")
    state: Digest = Field(title="State")
    included: Indices = Field(title="Included")
    voided: Indices = Field(title="Voided", description="Proven false, at any time.")
    contaminated: bool = Field(
        title="Contaminated", description="An included hospital was voided after finalize."
    )


class AttestationOfStudy(Answer):
    """An auditor's standing verdict."""

    auditor: Account = Field(title="Auditor")
    named: bool = Field(title="Named", description="Whether the study names this auditor.")
    round: int = Field(title="Round", description="0: the whole study.")
    level: str = Field(title="Level", examples=["keyed"])
    verdict: str = Field(title="Verdict", examples=["ok"])
    report: Digest = Field(title="Report", description="Digest of the audit's report.")
    block: BlockNo = Field(title="Block")


class Origin(Answer):
    """A round that ended with the state."""

    study: int = Field(title="Study", examples=[1])
    round: int = Field(title="Round", examples=[2])
    spec: Digest = Field(title="Spec")
    manifest: Digest = Field(title="Manifest", description="What the center signed of the round.")
    inputs: Digest = Field(
        title="Inputs", description="That the contract bound: submissions of the included."
    )
    cohorts: list[CohortOfRound] = Field(
        title="Cohorts", description="Of the included hospitals, in this round."
    )
    lineage: list[Ancestor] = Field(title="Lineage", description="This round, then its ancestors.")
    contaminated_by: list[int] = Field(
        title="Contaminated by",
        description="Rounds of the lineage that include an update proven false later; empty: none.",
    )
    attestations: list[AttestationOfStudy] = Field(
        title="Attestations", description="Of the study and of this round."
    )


class Provenance(Answer):
    """Where a model comes from."""

    state: Digest = Field(title="State")
    block: BlockNo = Field(title="Block", description="The block at whose end all this held.")
    origins: list[Origin] = Field(title="Origins", description="One, save for equal studies.")


@routes.get(
    "/models/{state}/provenance",
    summary="Show where a model comes from",
    dependencies=[Limited],
    responses=documented(
        "no-such-model", "invalid", "too-many-requests", "unsound-record", "node-unreachable"
    ),
)
async def show_provenance(site: TheSite, state: State) -> Provenance:
    """Study, round, ancestors, included hospitals, what was voided, who attested."""
    return await ask(site, lambda view: _provenance(view, raw(state)))


def _provenance(view: View, state: bytes) -> Provenance:
    origins = []
    for study, number in view.states.find(view.chain.rounds, state, view.block):
        count = view.chain.rounds.count(study, block_identifier=view.block)
        found = _round(view, study, number) if number <= count else None
        if found is not None and found.finalized and found.state == state:
            origins.append(_origin(view, study, number, found))
    if not origins:
        raise ApiProblem(
            "no-such-model", "no finalized round of this chain ended with it: check the digest"
        )
    return Provenance(state=shown(state), block=view.block, origins=origins)


def _origin(view: View, study: StudyId, number: RoundNumber, found: Round) -> Origin:
    lineage = _lineage(view, study, number)
    events = view.chain.rounds.freezes(study, number, to_block=view.block)
    terms = view.chain.studies.terms(study, block_identifier=view.block)
    return Origin(
        study=study,
        round=number,
        spec=shown(terms.spec),
        manifest=shown(found.manifest),
        inputs=shown(found.inputs),
        cohorts=[cohort_of(e) for e in events if found.included >> e.freeze.hospital & 1],
        lineage=lineage,
        contaminated_by=[item.round for item in lineage if item.contaminated],
        attestations=_attestations(view, study, number),
    )


def _lineage(view: View, study: StudyId, number: RoundNumber) -> list[Ancestor]:
    found = []
    while number:  # a parent is opened before its child, so that this ends
        round_ = _round(view, study, number)
        found.append(
            Ancestor(
                round=number,
                parent=round_.parent,
                start_state=shown(round_.start_state),
                state=shown(round_.state),
                included=bits(round_.included),
                voided=bits(round_.voided),
                contaminated=round_.contaminated,
            )
        )
        number = round_.parent if round_.parent < number else RoundNumber(0)
    return found


def _attestations(view: View, study: StudyId, number: int) -> list[AttestationOfStudy]:
    named = view.chain.studies.auditors_of(study, block_identifier=view.block)
    standing: dict[tuple[str, int], Attested] = {}
    for event in view.chain.attestations.attested(study, to_block=view.block):
        if event.round in (0, number):
            standing[event.auditor, event.round] = event
    return [
        AttestationOfStudy(
            auditor=event.auditor,
            named=event.auditor in named,
            round=event.round,
            level=event.level.name.lower(),
            verdict=event.verdict.name.lower(),
            report=shown(event.report),
            block=event.block,
        )
        for _, event in sorted(standing.items())
    ]


def _round(view: View, study: StudyId, number: RoundNumber) -> Round:
    return view.chain.rounds.round(study, number, block_identifier=view.block)
