"""How often one sender may ask: token buckets, of a bounded number of senders."""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from api.server.problems import ApiProblem


class Limit:
    """Buckets that hold a minute's tokens and fill evenly.

    Only the latest `senders` are remembered: who makes us forget others' buckets by coming from
    many addresses gains for each of them one full bucket, which it has anyway.
    """

    def __init__(
        self, per_minute: int, senders: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._senders, self._clock = per_minute, senders, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, sender: str) -> None:
        """One token. Raises `ApiProblem` "too-many-requests"."""
        key, now = _network(sender), self._clock()
        with self._lock:
            tokens, since = self._buckets.pop(key, (float(self._rate), now))
            tokens = min(self._rate, tokens + (now - since) * self._rate / 60)
            enough = tokens >= 1
            self._buckets[key] = (tokens - enough, now)
            if len(self._buckets) > self._senders:
                self._buckets.popitem(last=False)
        if not enough:
            wait = math.ceil((1 - tokens) * 60 / self._rate)
            raise ApiProblem(
                "too-many-requests",
                f"at most {self._rate} a minute: ask again in {wait} s",
                retry_s=wait,
            )

    def __len__(self) -> int:
        return len(self._buckets)


def _network(sender: str) -> str:
    """An IPv6 sender has a /64 of addresses, so that is one sender."""
    try:
        address = ipaddress.ip_address(sender)
    except ValueError:
        return sender
    if address.version == 4:
        return sender
    return str(ipaddress.ip_network((address, 64), strict=False))
