"""Studies: what is asked, on which terms, by whom; their tiers."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request, Response

from api.server.answers.studies import (
    HospitalOfStudy,
    Money,
    StudyDetail,
    StudyPage,
    StudySummary,
    Tier,
    TierPage,
)
from api.server.paging import LINKED, After, Limit, following, link, numbers, pick
from api.server.problems import Documented, documented
from api.server.site import TAGGED, TheSite, ask, immutable, router
from api.server.text import MOST, shown
from api.server.workers import View
from chain.types import AgreementId, StudyId
from federated.directory import name_of
from federated.errors import FederatedError
from federated.purposes import describe
from federated.spec import StudySpec
from federated.spec_files import read_bytes
from federated.study import Study
from storage.cid import dag_cbor_cid
from storage.errors import StorageError, Unreachable

routes = router("studies")

StudyNo = Annotated[
    int, Path(ge=1, le=MOST, title="Study", description="The study's number.", examples=[1])
]


@routes.get(
    "/studies",
    summary="List studies",
    responses=LINKED | documented("invalid", "node-unreachable"),
)
async def list_studies(
    site: TheSite, request: Request, response: Response, after: After = 0, limit: Limit = 20
) -> StudyPage:
    """Every study on the chain, by number."""
    page = await ask(site, lambda view: _page(view, after, limit))
    link(request, response, page)
    return page


_ONE = ("no-such-study", "not-in-store", "invalid", "unsound-record", "node-unreachable")


@routes.get("/studies/{study}", summary="Show a study", responses=documented(*_ONE))
async def show_study(site: TheSite, study: StudyNo) -> StudyDetail:
    """Question, terms, money, hospitals, auditors."""
    return await ask(site, lambda view: _detail(view, view.study(study)))


_SPEC: Documented = TAGGED | {
    200: TAGGED[200]
    | {
        "description": "The spec as the center published it; docs/protocol.md, Study spec.",
        "content": {"application/json": {"schema": {"type": "object", "title": "StudySpec"}}},
    }
}


@routes.get(
    "/studies/{study}/spec",
    summary="Read a study's spec",
    responses=_SPEC | documented(*_ONE),
    response_class=Response,
)
async def show_spec(site: TheSite, request: Request, study: StudyNo) -> Response:
    """Never changes: its digest is on the chain, and is the ETag."""
    found = await ask(site, lambda view: view.study(study))
    return immutable(
        request,
        shown(found.spec_digest),
        lambda: Response(found.spec.to_json(), media_type="application/json"),
    )


@routes.get(
    "/studies/{study}/tiers",
    summary="List a study's tiers",
    responses=LINKED | documented("no-such-study", "invalid", "node-unreachable", "unsound-record"),
)
async def list_tiers(
    site: TheSite,
    request: Request,
    response: Response,
    study: StudyNo,
    after: After = 0,
    limit: Limit = 20,
) -> TierPage:
    """Prices that patients can accept by granting, or answer with a counter-offer."""
    page = await ask(site, lambda view: _tiers(view, view.require_study(study), after, limit))
    link(request, response, page)
    return page


def _page(view: View, after: int, limit: int) -> StudyPage:
    count = view.chain.studies.count(block_identifier=view.block)
    places = numbers(after, limit, count)
    items = [_summary(view, StudyId(number)) for number in places]
    return StudyPage(block=view.block, next=following(places, count), items=items)


def _summary(view: View, number: StudyId) -> StudySummary:
    chain, block = view.chain, view.block
    terms = chain.studies.terms(number, block_identifier=block)
    spec = _spec(view, terms.spec)
    return StudySummary(
        study=number,
        title=spec.title if spec else None,
        center=chain.studies.center_of(number, block_identifier=block),
        spec=shown(terms.spec),
        rounds=chain.rounds.count(number, block_identifier=block),
        end_by=terms.end_by,
    )


def _spec(view: View, digest: bytes) -> StudySpec | None:
    """None where it is missing or none: one center's neglect hides no other study."""
    try:
        return read_bytes(view.store.get_block(dag_cbor_cid(digest)))
    except Unreachable:
        raise
    except (StorageError, FederatedError):
        return None


def _detail(view: View, study: Study) -> StudyDetail:
    spec, terms = study.spec, study.terms
    return StudyDetail(
        **_summary(view, study.number).model_dump(),
        question=spec.question,
        purposes=describe(terms.purposes),
        task=spec.task,
        model=spec.model.listed_as,
        strategy=spec.strategy.name,
        mode=spec.mode,
        initial_state=shown(terms.state),
        max_rounds=terms.max_rounds,
        min_hospitals=terms.min_hospitals,
        auditors=list(study.auditors),
        hospitals=_hospitals(view, study),
        money=_money(view, study),
        settle_by=terms.settle_by,
        challenge_end=terms.challenge_end,
        claim_end=terms.claim_end,
        refund_at=terms.refund_at,
    )


def _hospitals(view: View, study: Study) -> list[HospitalOfStudy]:
    enrolled = view.chain.studies.enrolled(study.number, block_identifier=view.block)
    return [
        HospitalOfStudy(
            index=index,
            address=address,
            name=name_of(view.chain, view.store, address, view.block),
            takes_part=bool(enrolled >> index & 1),
        )
        for index, address in enumerate(study.hospitals)
    ]


def _money(view: View, study: Study) -> Money:
    account = view.chain.escrow.account(study.number, block_identifier=view.block)
    amounts = {name: str(getattr(account, name)) for name in Money.model_fields if name != "token"}
    return Money(token=account.token, **amounts)


def _tiers(view: View, study: StudyId, after: int, limit: int) -> TierPage:
    events = view.chain.agreements.opened(to_block=view.block, study=study)
    picked = pick(events, after, limit, lambda event: event.agreement)
    last = events[-1].agreement if events else 0
    items = [_tier(view, event.agreement) for event in picked]
    places = [event.agreement for event in picked]
    return TierPage(block=view.block, next=following(places, last), items=items)


def _tier(view: View, agreement: AgreementId) -> Tier:
    tier = view.chain.agreements.tier(agreement, block_identifier=view.block)
    return Tier(
        agreement=agreement,
        hospital=tier.hospital,
        price=str(tier.price),
        purposes=describe(tier.purposes),
        purposes_bitmap=str(tier.purposes),
        terms=shown(tier.terms),
        not_after=tier.not_after,
        admitted=tier.admitted,
        max_count=tier.max_count,
        open=not tier.closed,
    )
