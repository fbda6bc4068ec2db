"""Of the process itself: alive, ready, what problems mean, metrics."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import Path, Response
from pydantic import Field

from api.server.metrics import MEDIA
from api.server.problems import BASE, KINDS, ApiProblem, documented
from api.server.site import Site, TheSite, ask, router
from api.server.text import Answer, BlockNo, Seconds
from api.server.workers import View
from chain.clock import Clock
from chain.errors import ChainError
from storage.cid import dag_cbor_cid
from storage.errors import StorageError

routes = router("process")

Kind = Annotated[
    str,
    Path(
        pattern="^[a-z-]{1,40}$",
        title="Kind",
        description="The last part of the type.",
        examples=["no-such-study"],
    ),
]


class Health(Answer):
    """The process answers."""

    status: str = Field(title="Status", examples=["ok"])


class Ready(Answer):
    """Node and store answer, and the chain goes on."""

    status: str = Field(title="Status", examples=["ready"])
    block: BlockNo = Field(title="Block", description="The newest.")
    timestamp: Seconds = Field(title="Time", description="Of that block.")
    relays: bool = Field(title="Relays", description="Whether messages can be left here.")


class ProblemKind(Answer):
    """A type of problem."""

    type: str = Field(title="Type", examples=[BASE + "no-such-study"])
    status: int = Field(title="Status", examples=[404])
    title: str = Field(title="Title")


@routes.get("/health", summary="Is the process alive", responses=documented())
async def show_health() -> Health:
    """Asks neither node nor store."""
    return Health(status="ok")


@routes.get(
    "/ready",
    summary="Can the API serve",
    responses=documented("not-ready", "node-unreachable", "store-unreachable"),
)
async def show_ready(site: TheSite) -> Ready:
    """Node, chain, freshness of its head, store, and the relayer where it runs here."""
    if site.relaying() is False:
        raise ApiProblem("not-ready", "the relayer of this process ended: start it again")
    return await ask(site, lambda view: _ready(site, view))


@routes.get("/problems", summary="List the types of problems", responses=documented())
async def list_problems() -> list[ProblemKind]:
    """Every `type` that a problem can have."""
    return [
        ProblemKind(type=BASE + name, status=kind.status, title=kind.title)
        for name, kind in KINDS.items()
    ]


@routes.get(
    "/problems/{kind}",
    summary="Show a type of problem",
    responses=documented("no-such-resource", "invalid"),
)
async def show_problem(kind: Kind) -> ProblemKind:
    """What the URI in a problem's `type` leads to."""
    if kind not in KINDS:
        raise ApiProblem("no-such-resource", "no problem has this type: see /v1/problems")
    found = KINDS[kind]
    return ProblemKind(type=BASE + kind, status=found.status, title=found.title)


async def show_metrics(site: TheSite) -> Response:
    """For Prometheus. Node and store that do not answer leave their last figures."""
    try:
        await ask(site, lambda view: _measure(site, view))
    except (ChainError, StorageError, ApiProblem):
        site.log.warning("unmeasured")
    return Response(site.metrics.text(), headers={"Content-Type": MEDIA})


def _ready(site: Site, view: View) -> Ready:
    view.store.has(dag_cbor_cid(bytes(32)))
    block = view.chain.client.node.block(view.block)
    most = site.settings.head_age_s
    old = time.time() - block.timestamp > most
    # A development chain mines on demand: its head says nothing about its health.
    if most and old and not Clock(view.chain.client.node).is_development:
        raise ApiProblem(
            "not-ready", f"the node's newest block is older than {most} s: is it in step?"
        )
    return Ready(
        status="ready",
        block=view.block,
        timestamp=block.timestamp,
        relays=site.desk is not None,
    )


def _measure(site: Site, view: View) -> None:
    if site.desk is not None:
        site.metrics.queue.set(site.desk.waiting(view.store))
