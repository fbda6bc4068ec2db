"""A cluster peer's REST API: single answers over httpx, streamed ones over h11.

httpx gives no trailers, and a stream of the cluster says in the trailer `X-Stream-Error` that it
broke off: without it half a list would look whole. https://ipfscluster.io/documentation/reference/api/
"""

import base64
import json
import socket
import weakref
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import h11
import httpx

from storage.errors import StorageError, TooSlow, Unreachable

PINNED = "pinned"
SILENT = "cluster_error"
"""A peer, or its node, that gave no answer: it may have a copy."""
MAX_LIST = 1 << 28  # bytes
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Copy:
    """What one peer of the cluster says of its copy: `pinned`, `pinning`, `pin_error`, …"""

    peer: str
    state: str
    error: str = ""
    peer_id: str = field(default="", compare=False)
    """Who it is; `peer` is what it calls itself."""

    def __str__(self) -> str:
        why = " ".join(self.error.split())[:120]  # it comes in several lines
        return f"{self.peer} {self.state}" + (f" ({why})" if why else "")


class ClusterRpc:
    """One peer. Errors are of `storage.errors` and name it; the password is in none."""

    def __init__(self, url: str, user: str, password: str, *, timeout_s: float) -> None:
        """Opens no connection yet; `url` is `http://host:port`."""
        self.url = url.rstrip("/")
        self.timeout_s = timeout_s
        self._credentials = (user, password)
        self._http = httpx.Client(
            base_url=self.url, auth=self._credentials, timeout=timeout_s, trust_env=False
        )
        weakref.finalize(self, self._http.close)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def identity(self) -> dict[str, Any]:
        """The peer's id, name and version, and those of the members that it sees."""
        found = self._call("GET", "/id")
        return found if isinstance(found, dict) else {}

    def known(self, metric: str, timeout_s: float | None = None) -> set[str]:
        """The peers whose metric of that name is valid here: `ping`, `freespace`."""
        found = self._call("GET", f"/monitor/metrics/{metric}", timeout_s=timeout_s)
        return {str(item.get("peer")) for item in found or () if item.get("valid")}

    def pin(self, cid: str, least: int, most: int, timeout_s: float | None = None) -> None:
        """Have the cluster keep so many copies; that it says yes is no copy yet. Idempotent.

        Refused where fewer than `least` peers could take one.
        """
        asked = {"replication-min": str(least), "replication-max": str(most)}
        self._call("POST", f"/pins/{cid}", asked, timeout_s=timeout_s)

    def unpin(self, cid: str) -> None:
        """Have the cluster forget a root; nothing happens where it is none."""
        self._call("DELETE", f"/pins/{cid}", absent_is_done=True)

    def recover(self, cid: str, timeout_s: float | None = None) -> None:
        """Have peers whose copy failed try again."""
        self._call("POST", f"/pins/{cid}/recover", timeout_s=timeout_s)

    def copies(self, cid: str, timeout_s: float | None = None) -> list[Copy]:
        """Who is to hold a copy, and how far each is; it asks them all."""
        found = self._call("GET", f"/pins/{cid}", timeout_s=timeout_s)
        with self._reported():
            return _copies(found)

    def pinset(self) -> dict[str, list[Copy]]:
        """Every root that is to be kept, with who holds it. Raises Unreachable for half a list.

        `/pins` gives what every peer says that has the secret; `/allocations` what was ordered by
        those who may, and from whom: only these are heard.
        """
        holders, told = self.orders(), self._stream("/pins")
        with self._reported():
            answers = {_cid_of(item): item for item in told}
            return {
                cid: _copies(answers[cid], asked) if cid in answers else []
                for cid, asked in holders.items()
            }

    def orders(self) -> dict[str, list[str]]:
        """Every root that is to be kept, with the ids of those who are asked for a copy.

        Raises Unreachable for half a list.
        """
        told = self._stream("/allocations")
        with self._reported():
            return {_cid_of(item): list(item["allocations"] or ()) for item in told}

    def _call(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        *,
        timeout_s: float | None = None,
        absent_is_done: bool = False,
    ) -> Any:
        with self._reported():
            wait_s = self.timeout_s if timeout_s is None else timeout_s
            answer = self._http.request(method, path, params=parameters, timeout=wait_s)
            if answer.status_code == httpx.codes.NOT_FOUND and absent_is_done:
                return None
            if not answer.is_success:
                raise self._refused(answer.status_code, answer.content)
            return json.loads(answer.content) if answer.content.strip() else None

    def _stream(self, path: str) -> list[dict[str, Any]]:
        parts = urlsplit(self.url)
        user, password = self._credentials
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        headers = [("Host", parts.netloc), ("Authorization", f"Basic {token}")]
        request = h11.Request(method="GET", target=path, headers=headers)
        with (
            self._reported(),
            socket.create_connection((parts.hostname, parts.port), self.timeout_s) as link,
        ):
            link.sendall(_asked(connection := h11.Connection(h11.CLIENT), request))
            status, body, trailers = _answer(connection, link)
        if status not in (httpx.codes.OK, httpx.codes.NO_CONTENT):
            raise self._refused(status, body)
        if broken := trailers.get(b"x-stream-error"):
            raise Unreachable(
                f"the cluster peer at {self.url} broke its list off: "
                f"{broken.decode('utf-8', 'replace')[:300]}; ask again"
            )
        with self._reported():
            return [json.loads(line) for line in body.splitlines() if line.strip()]

    def _refused(self, status: int, content: bytes) -> StorageError:
        if status == httpx.codes.UNAUTHORIZED:
            return Unreachable(
                f"the cluster peer at {self.url} does not take the password: it was started "
                "anew; read its member file again"
            )
        try:
            said = str(json.loads(content)["message"])
        except (ValueError, KeyError, TypeError):
            said = f"status {status}"
        return Unreachable(
            f"the cluster peer at {self.url} refused: {said[:500]}; look at its log and at "
            "`consilium swarm status`, then try again"
        )

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except (httpx.TimeoutException, TimeoutError) as exc:
            raise TooSlow(
                f"the cluster peer at {self.url} did not answer in time: look whether it is "
                "overloaded or halted, then try again"
            ) from exc
        except (httpx.HTTPError, httpx.InvalidURL, OSError, h11.ProtocolError) as exc:
            raise Unreachable(
                f"the cluster peer at {self.url} cannot be reached ({type(exc).__name__}): start "
                "it, or correct the address"
            ) from exc
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise Unreachable(
                f"what answers at {self.url} is no REST API of IPFS Cluster: correct the address"
            ) from exc


def _asked(connection: h11.Connection, request: h11.Request) -> bytes:
    return (connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b"")


def _answer(
    connection: h11.Connection, link: socket.socket
) -> tuple[int, bytes, dict[bytes, bytes]]:
    """Status, body, and trailers. Raises ProtocolError for a body that does not end."""
    status, body = 0, bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(link.recv(_PIECE))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_LIST:
                raise h11.RemoteProtocolError("the list is too long")
        elif isinstance(event, h11.EndOfMessage):
            return status, bytes(body), dict(event.headers)
        else:
            raise h11.RemoteProtocolError("the peer hung up")


def _cid_of(item: Mapping[str, Any]) -> str:
    cid = item["cid"]
    return str(cid["/"] if isinstance(cid, dict) else cid)


def _copies(item: Any, asked: Collection[str] | None = None) -> list[Copy]:
    """Of one root's answer, from those who were asked for a copy if not None.

    Members that are not to hold it (`remote`) are left out. A peer chooses its name, not its id.
    """
    found = item["peer_map"] or {}
    return sorted(
        (
            Copy(
                str(told.get("peername") or peer),
                str(told["status"]),
                str(told.get("error", "")),
                peer,
            )
            for peer, told in found.items()
            if told["status"] not in ("remote", "unpinned") and (asked is None or peer in asked)
        ),
        key=str,
    )
