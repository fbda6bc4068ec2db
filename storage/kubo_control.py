"""Kubo's control calls over ipfshttpclient, which is touched nowhere else.

`Client(address)` and not `connect()`: that one refuses every Kubo younger than itself.
"""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import ipfshttpclient
from ipfshttpclient.exceptions import Error, ErrorResponse

from storage.errors import Unreachable
from storage.kubo_rpc import failure

# It was last released in 2021 and asks urllib3 for what that does by itself today.
warnings.filterwarnings("ignore", "The 'strict' parameter", FutureWarning, "urllib3")

_GRACE_S = 5.0  # the node gives up first, so that it can say why


class KuboControl:
    """One node's identity, pins and peers. Errors are of `storage.errors` and name the node."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        """`url` is `http://host:port`; `timeout_s` the longest that a call may take."""
        self.url = url.rstrip("/")
        self.timeout_s = timeout_s
        self._client = ipfshttpclient.Client(_multiaddr(self.url))

    def peer_id(self) -> str:
        """The node's own peer id. Raises Unreachable."""
        with self._reported():
            return str(self._client.id(**self._limits())["ID"])

    def peers(self) -> list[str]:
        """The ids of the members to which the node is connected, sorted. Raises Unreachable."""
        with self._reported():
            found = self._client.swarm.peers(**self._limits())["Peers"]
        return sorted({str(peer["Peer"]) for peer in found or ()})

    def pin(self, cids: Iterable[str], timeout_s: float) -> None:
        """Keep roots and all below them. Raises MissingBlock, TooSlow, Unreachable."""
        with self._reported():
            self._client.pin.add(*cids, **self._limits(timeout_s))

    def unpin(self, cid: str) -> None:
        """Forget a root; nothing happens where it is none. Raises Unreachable."""
        try:
            with self._reported():
                self._client.pin.rm(cid, **self._limits())
        except Unreachable as exc:
            if "not pinned" not in str(exc.__cause__):
                raise

    def pins(self) -> list[str]:
        """The text of every root that is pinned with all below it. Raises Unreachable."""
        with self._reported():
            found = self._client.pin.ls(type="recursive", **self._limits())
            return list(found["Keys"] if found else ())  # of none, it answers {}

    def _limits(self, timeout_s: float | None = None) -> dict[str, Any]:
        wait_s = timeout_s or self.timeout_s
        return {"timeout": wait_s + _GRACE_S, "opts": {"timeout": f"{wait_s:.3f}s"}}

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except ErrorResponse as exc:
            raise failure(self.url, str(exc)) from exc
        except (Error, KeyError, TypeError) as exc:
            raise Unreachable(
                f"the IPFS node at {self.url} cannot be reached, or what answers is none "
                f"({type(exc).__name__}): start it, or correct the address"
            ) from exc


def _multiaddr(url: str) -> str:
    """`/ip4/…/tcp/…/http` of `http://host:port`; raises Unreachable."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if parts.scheme != "http" or not host or not port or parts.path:
        raise Unreachable(f"{url!r} is no address of an IPFS node: write http://HOST:PORT")
    kind = "ip6" if ":" in host else "ip4" if host.replace(".", "").isdigit() else "dns"
    return f"/{kind}/{host}/tcp/{port}/http"
