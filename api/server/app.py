"""Makes the application from settings and a home."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from api.home import Home, HomeRole
from api.server import consents, models, participants, process, relay, rounds, studies
from api.server.border import Border
from api.server.desk import Desk
from api.server.limits import Limit
from api.server.logs import Log, make_log
from api.server.metrics import Metrics
from api.server.problems import MEDIA, ApiProblem, Documented, Problem, documented, problem_of
from api.server.settings import Settings
from api.server.site import JsonRoute, Site
from api.server.workers import Workers
from storage.backends import reach_store

_METRICS: Documented = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}

_ABOUT = """\
What the chain and the store tell about studies, and a way for signed messages to a relayer.

Amounts are decimal text in a token's smallest units, digests and ids 0x-hexadecimal, times seconds
of the chain (Unix). Errors are `application/problem+json` (RFC 9457). What never changes has an
ETag. Whatever is read here can be checked against chain and store: this API need not be trusted.
"""


def create_app(
    settings: Settings,
    home: Home,
    *,
    log: Log | None = None,
    relaying: Callable[[], bool | None] = lambda: None,
) -> FastAPI:
    """The application over a home, which is read and needs no passphrase.

    `relaying` tells whether the relayer of this process lives; None where it has none. Raises
    `HomeError`, and `Unreachable` for a store that is not there; the node may come later.
    """
    site = _site(settings, home, log or make_log(), relaying)
    app = FastAPI(
        title="Consilium",
        summary="Studies, consents, provenance, relay",
        description=_ABOUT,
        version=version("consilium"),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.site = site
    for module in (process, studies, rounds, models, consents, participants, relay):
        app.include_router(module.routes)
    app.router.route_class = JsonRoute
    app.add_api_route(
        "/metrics",
        process.show_metrics,
        methods=["GET"],
        tags=["process"],
        summary="Metrics for Prometheus",
        response_class=Response,
        responses=_METRICS | documented(),
    )
    _add_errors(app)
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.allowed_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Content-Type", "If-None-Match", "X-Request-Id"],
            expose_headers=["ETag", "Link", "Retry-After", "X-Request-Id"],
        )
    app.add_middleware(Border, settings=settings, log=site.log, metrics=site.metrics)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _site(settings: Settings, home: Home, log: Log, relaying: Callable[[], bool | None]) -> Site:
    deployment = home.deployment()
    store = reach_store(settings.store) if settings.store else home.store()
    rpc = settings.rpc or home.config.rpc
    is_relayer = home.config.role is HomeRole.RELAYER
    return Site(
        settings=settings,
        deployment=deployment,
        workers=Workers(settings, rpc, deployment, store),
        reads=Limit(settings.read_rate, settings.senders),
        relays=Limit(settings.relay_rate, settings.senders),
        metrics=Metrics(),
        log=log,
        desk=Desk(home, deployment) if is_relayer else None,
        relaying=relaying,
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    site = cast(Site, app.state.site)
    try:
        yield
    finally:
        site.workers.close()
        if site.desk is not None:
            site.desk.close()


def _add_errors(app: FastAPI) -> None:
    async def tell(request: Request, exc: Exception) -> Response:
        problem = _of_framework(exc)
        headers = problem.headers()
        if isinstance(exc, HTTPException) and exc.headers:
            headers |= exc.headers  # Allow
        body = problem.body(request.scope["request_id"])
        return JSONResponse(body, problem.status, headers, media_type=MEDIA)

    for kind in (HTTPException, RequestValidationError):
        app.add_exception_handler(kind, tell)


_STATUSES = {404: "no-such-resource", 405: "wrong-method"}


def _of_framework(exc: Exception) -> ApiProblem:
    if isinstance(exc, RequestValidationError):
        return _invalid(exc)
    if isinstance(exc, HTTPException) and exc.status_code in _STATUSES:
        return ApiProblem(_STATUSES[exc.status_code], "see /openapi.json for what there is")
    if isinstance(exc, HTTPException) and exc.status_code < 500:
        return ApiProblem("malformed", "the body cannot be read as JSON: send it again whole")
    return problem_of(exc)


def _invalid(exc: RequestValidationError) -> ApiProblem:
    """Fields and what each must be; the values that came stay out of the answer."""
    errors = exc.errors()
    if any(item["type"] == "json_invalid" for item in errors):
        return ApiProblem("malformed", "the body is no JSON, or is cut off: send it again whole")
    fields = [
        {"where": ".".join(_plain(part) for part in item["loc"]), "why": item["msg"][:200]}
        for item in errors[:20]
    ]
    return ApiProblem("invalid", "correct the fields named in `errors`", errors=fields)


def _plain(part: object) -> str:
    """A name of a field that is none of ours is the caller's text: it is cut."""
    text = str(part)
    return text if text.isascii() and text.isprintable() and len(text) <= 40 else "…"


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            license_info=app.license_info,
            servers=[{"url": "/", "description": "This API."}],
            tags=_TAGS,
        )
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        found["components"]["schemas"] |= schema.pop("$defs", {}) | {"Problem": schema}
        app.openapi_schema = found
    return app.openapi_schema


_TAGS = [
    {"name": "process", "description": "Health, readiness, types of problems, metrics."},
    {"name": "studies", "description": "What is asked, on which terms, at which prices."},
    {"name": "rounds", "description": "Cohorts, submissions, manifests."},
    {"name": "models", "description": "Where a model comes from."},
    {"name": "consents", "description": "Where a consent was used, what it can claim."},
    {"name": "participants", "description": "Hospitals, centers, auditors; the contracts."},
    {"name": "relay", "description": "Signed messages for those who have no coins."},
]
