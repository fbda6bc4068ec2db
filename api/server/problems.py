"""Errors as RFC 9457 problems: every type, and which of our errors becomes which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.cli.words import sentence
from api.errors import ApiError
from chain.errors import (
    BadSignature,
    ChainError,
    CodeMismatch,
    LogsDisagree,
    OutboxError,
    TxReverted,
)
from federated.errors import FederatedError, JournalDamaged, StepError
from storage.errors import MissingBlock, StorageError, Unanswered, Unreachable

MEDIA = "application/problem+json"
BASE = "/v1/problems/"


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of problem: its status and title never change; `retry_s` where asking again helps."""

    status: int
    title: str
    retry_s: int | None = None


KINDS: dict[str, Kind] = {
    "bad-host": Kind(400, "The Host header names another place"),
    "malformed": Kind(400, "The request cannot be read"),
    "read-only": Kind(403, "This API relays nothing"),
    "bad-signature": Kind(403, "The signature is not of this key for this message here"),
    "no-such-resource": Kind(404, "There is nothing at this path"),
    "no-such-study": Kind(404, "The chain has no such study"),
    "no-such-round": Kind(404, "The study has no such round"),
    "no-such-model": Kind(404, "No finalized round ended with this state"),
    "no-such-consent": Kind(404, "The chain has no such consent"),
    "no-such-agreement": Kind(404, "The chain has no such agreement"),
    "no-such-receipt": Kind(404, "No message has this receipt"),
    "not-finalized": Kind(404, "The round is not finalized"),
    "not-in-store": Kind(404, "The chain names it, and the store does not have it"),
    "wrong-method": Kind(405, "The resource has no such method"),
    "slow-body": Kind(408, "The body did not arrive in time"),
    "already-done": Kind(409, "It was done already"),
    "not-now": Kind(409, "The state of the study does not allow it now"),
    "expired": Kind(409, "The message's deadline is past"),
    "refused": Kind(409, "The contract would refuse it"),
    "body-too-large": Kind(413, "The body is too large"),
    "wrong-content-type": Kind(415, "The body is not application/json"),
    "invalid": Kind(422, "A field is missing or not what it must be"),
    "too-many-requests": Kind(429, "Too many requests from this sender", 10),
    "internal": Kind(500, "The API failed"),
    "unsound-record": Kind(502, "Node or store gave what does not fit the chain"),
    "node-unreachable": Kind(503, "The chain's node does not answer", 5),
    "store-unreachable": Kind(503, "The store does not answer", 5),
    "too-slow": Kind(503, "The answer took too long", 5),
    "too-busy": Kind(503, "Too many requests are in work", 2),
    "not-ready": Kind(503, "The API cannot serve yet", 5),
}


class Field_(BaseModel):
    """One field that is wrong; never its value."""

    model_config = ConfigDict(title="InvalidField")

    where: str = Field(
        title="Where", description="Dotted path to the field.", examples=["body.deadline"]
    )
    why: str = Field(title="Why", description="What it must be.", examples=["Field required"])


class Problem(BaseModel):
    """An error, as RFC 9457 says."""

    type: str = Field(
        title="Type",
        description="Relative URI of the type; stable, listed at /v1/problems.",
        examples=[BASE + "no-such-study"],
    )
    title: str = Field(title="Title", description="The type in words.")
    status: int = Field(title="Status", description="The HTTP status.", examples=[404])
    detail: str = Field(title="Detail", description="What happened, where, and what to do.")
    instance: str = Field(
        title="Instance",
        description="This very occurrence, by the request's id, as the log names it.",
        examples=["urn:consilium:request:5f0c7d"],
    )
    errors: list[Field_] | None = Field(
        default=None, title="Errors", description="The fields that are wrong, where some are."
    )


class ApiProblem(ApiError):
    """A problem that an answer tells; `kind` is a key of `KINDS`."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        errors: list[dict[str, str]] | None = None,
        retry_s: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.errors = kind, detail, errors
        self.retry_s = KINDS[kind].retry_s if retry_s is None else retry_s

    @property
    def status(self) -> int:
        """The HTTP status."""
        return KINDS[self.kind].status

    def body(self, request_id: str) -> dict[str, Any]:
        """What `Problem` describes."""
        found: dict[str, Any] = {
            "type": BASE + self.kind,
            "title": KINDS[self.kind].title,
            "status": self.status,
            "detail": self.detail,
            "instance": f"urn:consilium:request:{request_id}",
        }
        return found | ({"errors": self.errors} if self.errors else {})

    def headers(self) -> dict[str, str]:
        """What goes with it."""
        return {} if self.retry_s is None else {"Retry-After": str(self.retry_s)}


class TooSlow(ApiError):
    """The time of a request is over."""


_UNKNOWN = {
    "UnknownStudy": "no-such-study",
    "UnknownRound": "no-such-round",
    "UnknownAgreement": "no-such-agreement",
}


def problem_of(exc: Exception) -> ApiProblem:
    """What an error is to a caller: nothing of this machine's paths and addresses is told."""
    if isinstance(exc, ApiProblem):
        return exc
    if isinstance(exc, TooSlow):
        return ApiProblem("too-slow", "the node or the store is slow: ask again in a while")
    if isinstance(exc, OSError | OutboxError | JournalDamaged):
        return ApiProblem(
            "not-ready", "the API cannot read or write its own files: tell its operator"
        )
    if isinstance(exc, ChainError):
        return _of_chain(exc)
    if isinstance(exc, StorageError):
        return _of_storage(exc)
    if isinstance(exc, StepError):
        return ApiProblem("not-now", sentence(exc))
    if isinstance(exc, FederatedError):
        return _unsound("a record in the store is not what its place on-chain says")
    return ApiProblem(
        "internal", "the log has the kind of error under this request's id: tell the operator"
    )


def _of_chain(exc: ChainError) -> ApiProblem:
    if isinstance(exc, TxReverted):
        return ApiProblem(_UNKNOWN.get(exc.name, "refused"), sentence(exc))
    if isinstance(exc, BadSignature):
        return ApiProblem("bad-signature", sentence(exc))
    if isinstance(exc, LogsDisagree | CodeMismatch):
        return _unsound("the node's logs do not fit what the contracts store")
    return ApiProblem(
        "node-unreachable", "the chain's node does not answer as it should: ask again in a while"
    )


def _of_storage(exc: StorageError) -> ApiProblem:
    if isinstance(exc, Unreachable | Unanswered):
        return ApiProblem("store-unreachable", "the store does not answer: ask again in a while")
    if isinstance(exc, MissingBlock):
        return ApiProblem(
            "not-in-store",
            "no member of the store has the record that the chain names: ask its maker to pin it",
        )
    return _unsound("a record in the store is damaged, or not what its place on-chain says")


def _unsound(what: str) -> ApiProblem:
    return ApiProblem("unsound-record", f"{what}: ask another node or member, and tell an auditor")


Documented = dict[int | str, dict[str, Any]]


def documented(*kinds: str) -> Documented:
    """OpenAPI answers for these kinds and for what any request may meet."""
    by_status: dict[int, list[str]] = {}
    for kind in (*kinds, *_ALWAYS):
        found = by_status.setdefault(KINDS[kind].status, [])
        if kind not in found:
            found.append(kind)
    return {status: _answer(status, found) for status, found in sorted(by_status.items())}


_ALWAYS = ("bad-host", "malformed", "too-busy", "too-slow")


def _answer(status: int, kinds: list[str]) -> dict[str, Any]:
    examples = {
        kind: {
            "summary": KINDS[kind].title,
            "value": ApiProblem(kind, "what, where, and what to do").body("5f0c7d"),
        }
        for kind in kinds
    }
    found: dict[str, Any] = {
        "description": "; ".join(KINDS[kind].title for kind in kinds),
        "content": {
            MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}
        },
    }
    if any(KINDS[kind].retry_s is not None for kind in kinds):
        found["headers"] = {
            "Retry-After": {
                "description": "Seconds after which asking again may help.",
                "schema": {"type": "integer", "minimum": 0},
            }
        }
    return found
