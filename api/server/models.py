"""A model's provenance: by the digest of its state, back to the study's beginning."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from api.server.answers.models import Ancestor, AttestationOfStudy, Origin, Provenance
from api.server.problems import ApiProblem, documented
from api.server.rounds import cohort_of
from api.server.site import Limited, TheSite, ask, router
from api.server.text import DigestIn, bits, raw, shown
from api.server.workers import View
from chain.attestations import Attested
from chain.round_types import Round
from chain.types import RoundNumber, StudyId

routes = router("models")

State = Annotated[
    DigestIn, Path(title="State", description="Digest of the model and server state.")
]


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
