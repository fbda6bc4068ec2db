"""Rounds of a study: phases, cohorts, submissions, manifests."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Request, Response
from pydantic import Field

from api.cli.study import phase_of
from api.server.paging import LINKED, After, Limit, Page, following, link, numbers
from api.server.problems import ApiProblem, documented
from api.server.site import TAGGED, TheSite, ask, immutable, router
from api.server.studies import StudyNo
from api.server.text import Account, Answer, BlockNo, Digest, Seconds, bits, shown, some
from api.server.workers import View
from chain.rounds import Frozen, Round, Submitted
from chain.types import RoundNumber, StudyId
from federated.published import read_result
from federated.round_manifest import Entry, RoundManifest

routes = router("rounds")

RoundNo = Annotated[
    int, Path(ge=1, le=256, title="Round", description="The round's number.", examples=[1])
]
Indices = Annotated[list[int], Field(description="Indices of hospitals.", examples=[[0, 1, 2]])]


class RoundSummary(Answer):
    """A round as the chain holds it."""

    study: int = Field(title="Study", examples=[1])
    round: int = Field(title="Round", description="Its number, from 1.", examples=[1])
    phase: str = Field(
        title="Phase",
        description="freeze, submit or finalize (what it waits for), finalized, aborted, lapsed.",
        examples=["finalized"],
    )
    contaminated: bool = Field(
        title="Contaminated", description="An included hospital was voided after finalize."
    )
    parent: int = Field(title="Parent", description="Round that it starts from; 0: the study.")
    freeze_by: Seconds = Field(title="Freeze by")
    submit_by: Seconds = Field(title="Submit by")
    finalize_by: Seconds = Field(title="Finalize by")
    enrolled: Indices = Field(title="Enrolled")
    frozen: Indices = Field(title="Frozen")
    submitted: Indices = Field(title="Submitted")
    included: Indices = Field(title="Included")
    voided: Indices = Field(title="Voided")
    start_state: Digest = Field(title="Start state")
    state: Digest | None = Field(title="State", description="It ended with; null before.")
    manifest: Digest | None = Field(title="Manifest", description="null before finalize.")


class RoundPage(Page):
    """A study's rounds by number."""

    items: list[RoundSummary] = Field(title="Items")


class CohortOfRound(Answer):
    """What one hospital froze: the counts are public, the patients are not."""

    hospital: int = Field(title="Hospital", description="Its index.")
    address: Account = Field(title="Address")
    n: int = Field(title="Consents", description="In the cohort.", examples=[26])
    weight: int = Field(title="Weight", description="In the aggregate, and what pays.")
    root: Digest = Field(title="Root", description="Of the Merkle tree of leaves.")
    leaf_list: Digest = Field(title="List of leaves", description="Digest of the record.")
    snapshot: BlockNo = Field(title="Snapshot", description="Block at which consents counted.")
    digest: Digest = Field(title="Digest", description="keccak256 that the contract stores.")


class RoundDetail(RoundSummary):
    """A round with its cohorts."""

    cohorts: list[CohortOfRound] = Field(title="Cohorts")


class Submission(Answer):
    """The on-chain record of an update; the update itself is sealed."""

    hospital: int = Field(title="Hospital", description="Its index.")
    address: Account = Field(title="Address")
    manifest: Digest = Field(title="Manifest", description="Digest of the artefact's manifest.")
    commitment: Digest = Field(title="Commitment", description="To the plaintext, salted.")
    block: BlockNo = Field(title="Block", description="That mined it.")
    transaction: Digest = Field(title="Transaction")
    included: bool = Field(title="Included", description="In the aggregate.")
    voided: bool = Field(title="Voided", description="Proven false.")


class SubmissionPage(Page):
    """A round's submissions by hospital index; `next` counts from 1."""

    items: list[Submission] = Field(title="Items")


class ManifestEntry(Answer):
    """One submission as the center judged it."""

    hospital: int = Field(title="Hospital", description="Its index.")
    weight: int = Field(title="Weight")
    freeze: Digest = Field(title="Freeze")
    manifest: Digest = Field(title="Manifest")
    commitment: Digest = Field(title="Commitment")
    code: str | None = Field(title="Code", description="Why it is left out; null: included.")


class Manifest(Answer):
    """What the center signed when it finalized the round; signature and chain agree."""

    digest: Digest = Field(title="Digest", description="On the chain; the ETag.")
    signer: Account = Field(title="Signer", description="The study's center.")
    study: int = Field(title="Study")
    round: int = Field(title="Round")
    parent: int = Field(title="Parent")
    context: Digest = Field(title="Context")
    spec: Digest = Field(title="Spec")
    start_state: Digest = Field(title="Start state")
    state: Digest = Field(title="State")
    model: Digest = Field(title="Model", description="Manifest of the sealed global model.")
    reports: list[Digest] = Field(title="Reports")
    submissions: list[ManifestEntry] = Field(title="Submissions")


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
    items = [_submission(event, found) for event in picked]
    return SubmissionPage(block=view.block, next=following(shown_now, last), items=items)


def _submission(event: Submitted, found: Round) -> Submission:
    return Submission(
        hospital=event.index,
        address=event.hospital,
        manifest=shown(event.manifest),
        commitment=shown(event.commitment),
        block=event.block,
        transaction=shown(event.transaction),
        included=bool(found.included >> event.index & 1),
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
