"""Rounds of a study: phases, cohorts, submissions, manifests."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Request, Response

from api.cli.study import phase_of
from api.server.answers.rounds import (
    CohortOfRound,
    Manifest,
    ManifestEntry,
    RoundDetail,
    RoundPage,
    RoundSummary,
    Submission,
    SubmissionPage,
)
from api.server.paging import LINKED, After, Limit, following, link, numbers
from api.server.problems import ApiProblem, documented
from api.server.site import TAGGED, TheSite, ask, immutable, router
from api.server.studies import StudyNo
from api.server.text import bits, shown, some
from api.server.workers import View
from chain.round_events import Frozen, Submitted
from chain.round_types import Round
from chain.types import RoundNumber, StudyId
from federated.published import read_result
from federated.round_manifest import Entry, RoundManifest

routes = router("rounds")

RoundNo = Annotated[
    int, Path(ge=1, le=256, title="Round", description="The round's number.", examples=[1])
]


_LIST = ("no-such-study", "invalid", "node-unreachable", "unsound-record")
_ONE = (*_LIST, "no-such-round")


@routes.get(
    "/studies/{study}/rounds",
    summary="List a study's rounds",
    responses=LINKED | documented(*_LIST),
)
async def list_rounds(
    site: TheSite,
    request: Request,
    response: Response,
    study: StudyNo,
    after: After = 0,
    limit: Limit = 20,
) -> RoundPage:
    """In the order in which they were opened."""
    page = await ask(site, lambda view: _page(view, view.require_study(study), after, limit))
    link(request, response, page)
    return page


@routes.get("/studies/{study}/rounds/{number}", summary="Show a round", responses=documented(*_ONE))
async def show_round(site: TheSite, study: StudyNo, number: RoundNo) -> RoundDetail:
    """A round with the cohorts that its hospitals froze."""
    return await ask(site, lambda view: _detail(view, study, number))


@routes.get(
    "/studies/{study}/rounds/{number}/submissions",
    summary="List a round's submissions",
    responses=LINKED | documented(*_ONE),
)
async def list_submissions(
    site: TheSite,
    request: Request,
    response: Response,
    study: StudyNo,
    number: RoundNo,
    after: After = 0,
    limit: Limit = 20,
) -> SubmissionPage:
    """Compared with the digests that the contract stores, by hospital index."""
    page = await ask(site, lambda view: _submissions(view, study, number, after, limit))
    link(request, response, page)
    return page


@routes.get(
    "/studies/{study}/rounds/{number}/manifest",
    summary="Read a round's manifest",
    responses=TAGGED | documented(*_ONE, "not-finalized", "not-in-store"),
    response_model=Manifest,
)
async def show_manifest(
    site: TheSite, request: Request, study: StudyNo, number: RoundNo
) -> Response:
    """Never changes: its digest is on the chain, and is the ETag."""
    found = await ask(site, lambda view: _manifest(view, study, number))
    return immutable(
        request,
        found.digest,
        lambda: Response(found.model_dump_json(), media_type="application/json"),
    )


def round_of(view: View, study: int, number: int) -> tuple[StudyId, RoundNumber, Round]:
    """A round. Raises `ApiProblem` where there is none such."""
    found = view.require_study(study)
    count = view.chain.rounds.count(found, block_identifier=view.block)
    if not 1 <= number <= count:
        raise ApiProblem("no-such-round", f"study {study} has rounds 1 to {count}")
    place = RoundNumber(number)
    return found, place, view.chain.rounds.round(found, place, block_identifier=view.block)


def _page(view: View, study: StudyId, after: int, limit: int) -> RoundPage:
    count = view.chain.rounds.count(study, block_identifier=view.block)
    places = numbers(after, limit, count)
    now = view.chain.client.node.block(view.block).timestamp
    items = []
    for number in places:
        found = view.chain.rounds.round(study, RoundNumber(number), block_identifier=view.block)
        items.append(RoundSummary(**_fields(study, number, found, now)))
    return RoundPage(block=view.block, next=following(places, count), items=items)


def _fields(study: int, number: int, found: Round, now: int) -> dict[str, Any]:
    words = ("enrolled", "frozen", "submitted", "included", "voided")
    return {name: bits(getattr(found, name)) for name in words} | {
        "study": study,
        "round": number,
        "phase": phase_of(found, now).partition(",")[0],
        "contaminated": found.contaminated,
        "parent": found.parent,
        "freeze_by": found.freeze_by,
        "submit_by": found.submit_by,
        "finalize_by": found.finalize_by,
        "start_state": shown(found.start_state),
        "state": some(found.state),
        "manifest": some(found.manifest),
    }


def _detail(view: View, study: int, number: int) -> RoundDetail:
    number_of, place, found = round_of(view, study, number)
    now = view.chain.client.node.block(view.block).timestamp
    events = view.chain.rounds.freezes(number_of, place, to_block=view.block)
    return RoundDetail(
        **_fields(study, number, found, now), cohorts=[cohort_of(event) for event in events]
    )


def cohort_of(event: Frozen) -> CohortOfRound:
    """A freeze as it is shown."""
    freeze = event.freeze
    return CohortOfRound(
        hospital=freeze.hospital,
        address=event.hospital,
        n=freeze.n,
        weight=freeze.weight,
        root=shown(freeze.root),
        leaf_list=shown(freeze.leaf_list),
        snapshot=freeze.snapshot,
        digest=shown(freeze.digest()),
    )


def _submissions(view: View, study: int, number: int, after: int, limit: int) -> SubmissionPage:
    number_of, place, found = round_of(view, study, number)
    events = view.chain.rounds.submissions(number_of, place, to_block=view.block)
    picked = [event for event in events if event.index + 1 > after][:limit]
    shown_now = [event.index + 1 for event in picked]
    last = events[-1].index + 1 if events else 0
    restored = view.chain.rounds.restored(number_of, place, block_identifier=view.block)
    items = [_submission(event, found, restored) for event in picked]
    return SubmissionPage(block=view.block, next=following(shown_now, last), items=items)


def _submission(event: Submitted, found: Round, restored: int) -> Submission:
    return Submission(
        hospital=event.index,
        address=event.hospital,
        manifest=shown(event.manifest),
        commitment=shown(event.commitment),
        block=event.block,
        transaction=shown(event.transaction),
        included=bool(found.included >> event.index & 1),
        restored=bool(restored >> event.index & 1),
        voided=bool(found.voided >> event.index & 1),
    )


def _manifest(view: View, study: int, number: int) -> Manifest:
    _, place, round_ = round_of(view, study, number)
    if not round_.finalized:
        raise ApiProblem("not-finalized", f"study {study}: wait until round {number} is finalized")
    found = view.study(study)
    manifest, _, _ = read_result(view.party, found, place, view.block)
    return _shown(manifest, shown(round_.manifest), found.center)


def _shown(manifest: RoundManifest, digest: str, center: str) -> Manifest:
    names = ("context", "spec", "start_state", "state", "model")
    return Manifest(
        digest=digest,
        signer=center,
        study=manifest.study,
        round=manifest.round_number,
        parent=manifest.parent,
        reports=[shown(report) for report in manifest.reports],
        submissions=[_entry(entry) for entry in manifest.entries],
        **{name: shown(getattr(manifest, name)) for name in names},
    )


def _entry(entry: Entry) -> ManifestEntry:
    return ManifestEntry(
        hospital=entry.hospital,
        weight=entry.weight,
        freeze=shown(entry.freeze),
        manifest=shown(entry.manifest),
        commitment=shown(entry.commitment),
        code=None if entry.code is None else entry.code.value,
    )
