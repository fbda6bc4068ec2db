"""Pages: in the order of numbers, from behind the last one seen; the next by a Link (RFC 8288)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Query, Request, Response
from pydantic import Field

from api.server.problems import Documented
from api.server.text import MOST, Answer, BlockNo

T = TypeVar("T")

After = Annotated[
    int,
    Query(
        ge=0,
        le=MOST,
        title="After",
        description="The number of the last item of the page before; 0 for the first page.",
        examples=[0],
    ),
]
Limit = Annotated[
    int, Query(ge=1, le=50, title="Limit", description="At most so many items.", examples=[20])
]

LINKED: Documented = {
    200: {
        "headers": {
            "Link": {
                "description": 'The next page, rel="next"; absent on the last.',
                "schema": {"type": "string"},
            }
        }
    }
}


class Page(Answer):
    """Base of pages; `items` are of one kind each."""

    block: BlockNo = Field(title="Block", description="The block at whose end all this held.")
    next: int | None = Field(
        title="Next", description="`after` of the next page; null on the last.", examples=[20]
    )


def numbers(after: int, limit: int, count: int) -> range:
    """The numbers of a page of items that count from 1."""
    return range(after + 1, min(after + limit, count) + 1)


def following(shown: Sequence[int], count: int) -> int | None:
    """`after` of the next page."""
    return shown[-1] if shown and shown[-1] < count else None


def pick(items: Sequence[T], after: int, limit: int, number: Callable[[T], int]) -> list[T]:
    """The page of items that are in the order of their numbers."""
    return [item for item in items if number(item) > after][:limit]


def link(request: Request, response: Response, page: Page) -> None:
    """The header for a page that is not the last."""
    if page.next is not None:
        query: dict[str, Any] = dict(request.query_params) | {"after": page.next}
        shown = "&".join(f"{key}={query[key]}" for key in ("after", "limit") if key in query)
        response.headers["Link"] = f'<{request.url.path}?{shown}>; rel="next"'
