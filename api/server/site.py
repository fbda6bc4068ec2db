"""What the handlers of one application share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, cast

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute

from api.server.desk import Desk
from api.server.limits import Limit
from api.server.logs import Log
from api.server.metrics import Metrics
from api.server.problems import ApiProblem, Documented
from api.server.settings import Settings
from api.server.workers import View, Workers
from chain.deploy import Deployment

T = TypeVar("T")


@dataclass(frozen=True)
class Site:
    """`desk` is None where the home is not a relayer's."""

    settings: Settings
    deployment: Deployment
    workers: Workers
    reads: Limit
    relays: Limit
    metrics: Metrics
    log: Log
    desk: Desk | None
    relaying: Callable[[], bool | None]

    def at_desk(self) -> Desk:
        """Where messages are left. Raises `ApiProblem` "read-only"."""
        if self.desk is None:
            raise ApiProblem(
                "read-only",
                "this home is not a relayer's: send the message to the API of a relayer",
            )
        return self.desk


def _site(request: Request) -> Site:
    return cast(Site, request.app.state.site)


def _sender(request: Request) -> str:
    return request.client.host if request.client else ""


def _limited(request: Request) -> None:
    _site(request).reads.take(_sender(request))


TheSite = Annotated[Site, Depends(_site)]
Sender = Annotated[str, Depends(_sender)]
Limited = Depends(_limited)
"""For reads that search: they cost many requests to the node, or a whole list."""


class JsonRoute(APIRoute):
    """A route whose body is application/json and nothing else, whatever a browser can forge."""

    def get_route_handler(self) -> Any:
        """See APIRoute."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if self.body_field is not None and kind != "application/json":
                raise ApiProblem("wrong-content-type", "send application/json")
            response: Response = await handler(request)
            return response

        return strict


def router(tag: str) -> APIRouter:
    """A router of the API's first version."""
    return APIRouter(prefix="/v1", tags=[tag], route_class=JsonRoute)


def immutable(request: Request, digest: str, content: Callable[[], Response]) -> Response:
    """The content under its digest, or 304 where the caller has it already (RFC 9110, 13)."""
    tag = f'"{digest}"'
    headers: Mapping[str, str] = {
        "ETag": tag,
        "Cache-Control": "public, max-age=31536000, immutable",
    }
    asked = request.headers.get("if-none-match", "")
    known = {part.strip().removeprefix("W/") for part in asked.split(",")}
    if tag in known or "*" in known:
        return Response(status_code=304, headers=dict(headers))
    response = content()
    response.headers.update(headers)
    return response


TAGGED: Documented = {
    200: {
        "headers": {
            "ETag": {
                "description": "The digest, in quotes; it never changes.",
                "schema": {"type": "string"},
            }
        }
    },
    304: {"description": "The caller's copy (If-None-Match) is the same."},
}


async def ask(site: Site, work: Callable[[View], T], *, urgent: bool = False) -> T:
    """Run a blocking read or write; the newest block goes to the metrics."""

    def seen(view: View) -> T:
        site.metrics.head.set(view.block)
        return work(view)

    return await site.workers.run(seen, urgent=urgent)
