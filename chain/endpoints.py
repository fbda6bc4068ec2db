"""The addresses of one chain's nodes: where one does not answer, the next is asked.

Another node may be another chain, or behind: what it lacks would look like a reorganisation, and a
sender would drop what stands in a block. So a node is asked for its chain at the first contact, and
each time that it takes over it must have the newest block that was seen.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import requests

from chain.errors import NodeDown, WrongChain
from chain.rpc import Loopback, without_credentials

NO_ANSWER = (requests.RequestException, HTTPException, OSError, ValueError, RecursionError)
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_CATCH_UP_S = 10.0  # so long a node that is behind is waited for
_LOOK_AGAIN_S = 0.1


class Endpoint:
    """One RPC address."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self.name = without_credentials(url)
        self.is_vetted = False
        self._url, self._timeout_s = url, timeout_s
        parts = urlsplit(url)
        here = parts.scheme == "http" and parts.hostname in LOOPBACK
        self._loopback = Loopback(url, timeout_s) if here else None
        self._session = requests.Session()

    def post(self, body: Any) -> Any:
        """The answer's JSON; raises one of NO_ANSWER."""
        if self._loopback is not None:
            return self._loopback.post(body)
        return self._session.post(self._url, json=body, timeout=self._timeout_s).json()

    def ask(self, method: str, *params: Any) -> Any:
        """The result of a method that no node refuses; raises one of NO_ANSWER."""
        answer = self.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        if not isinstance(answer, dict) or answer.get("result") is None:
            raise ValueError("no JSON-RPC")
        return answer["result"]


def _endpoint(url: str, place: int, timeout_s: float) -> Endpoint:
    try:
        return Endpoint(url, timeout_s)
    except ValueError:  # whose text may hold a piece of a password
        raise NodeDown(f"the address {place} of nodes is none: give http://host:port") from None


class Endpoints:
    """Addresses given with commas between them; the first is asked until it does not answer."""

    def __init__(self, urls: str, timeout_s: float) -> None:
        places = enumerate(urls.split(","), 1)
        self._all = [_endpoint(url.strip(), place, timeout_s) for place, url in places]
        self._at = 0
        self._chain: tuple[str, str] | None = None
        self._seen = 0
        self.turns = 0
        """How often another took over: what was sent before may have died with the one before."""

    @property
    def name(self) -> str:
        """The one that is asked now, as it may stand in a message."""
        return self._all[self._at].name

    def saw(self, block: int) -> None:
        """A block of this number was seen: whoever takes over must have it."""
        self._seen = max(self._seen, block)

    def post(self, body: Any) -> Any:
        """The answer's JSON; raises NodeDown where none answers, WrongChain."""
        if len(self._all) == 1:
            return self._first(body)
        end = time.monotonic() + _CATCH_UP_S
        while True:
            reasons: list[Exception] = []
            for place in self._order():
                try:
                    self._vet(place)
                    answer = self._all[place].post(body)
                except (*NO_ANSWER, _Behind) as exc:
                    reasons.append(exc)
                    continue
                self._turn(place)
                return answer
            behind = [reason for reason in reasons if isinstance(reason, _Behind)]
            if not behind or time.monotonic() > end:
                raise self._down(behind) from reasons[0]
            time.sleep(_LOOK_AGAIN_S)

    def look_further(self) -> None:
        """Asks another from now on where the one asked stands still: another has newer blocks."""
        heights = {place: self._height(place) for place in self._order()}
        best = max(heights, key=lambda place: heights[place])
        if heights[best] > heights[self._at] + 1:
            self._turn(best)

    def _first(self, body: Any) -> Any:
        try:
            return self._all[0].post(body)
        except NO_ANSWER as exc:
            raise self._down([]) from exc

    def _order(self) -> list[int]:
        """The one that is asked, then those after it, around."""
        return [(self._at + step) % len(self._all) for step in range(len(self._all))]

    def _turn(self, place: int) -> None:
        if place != self._at:
            self._at = place
            self.turns += 1

    def _vet(self, place: int) -> None:
        endpoint = self._all[place]
        if not endpoint.is_vetted:
            first = endpoint.ask("eth_getBlockByNumber", "0x0", False)
            chain = (str(endpoint.ask("eth_chainId")), str(first["hash"]).lower())
            self._chain = self._chain or chain
            if chain != self._chain:
                raise WrongChain(
                    f"{endpoint.name} serves another chain than {self._all[self._at].name}: "
                    "correct the addresses"
                )
            endpoint.is_vetted = True
        if place != self._at and (height := int(endpoint.ask("eth_blockNumber"), 16)) < self._seen:
            raise _Behind(f"{endpoint.name} is at block {height} of {self._seen}")

    def _height(self, place: int) -> int:
        """A node's newest block; -1 where it must not be asked."""
        try:
            self._vet(place)
            return int(self._all[place].ask("eth_blockNumber"), 16)
        except (*NO_ANSWER, _Behind):
            return -1

    def _down(self, behind: Sequence[Exception]) -> NodeDown:
        names = ", ".join(endpoint.name for endpoint in self._all)
        also = f" ({'; '.join(map(str, behind))})" if behind else ""
        return NodeDown(f"no node answers at {names}{also}: start it, or correct the address")


class _Behind(Exception):
    """A node lacks blocks that another had."""
