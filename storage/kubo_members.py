"""Whether the members that a node knows answer at all: before anybody says that none has a block.

Members are asked for a block at once and by nobody's name, and who has nothing says nothing that
the RPC would show: so silence and a slow network look alike. A ping tells them apart.
"""

import json
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Any

from storage.errors import StorageError, Unreachable
from storage.kubo_control import KuboControl
from storage.kubo_rpc import KuboRpc

_AT_ONCE = 64  # pings at the same time, a thread each
_LEAST_S = 0.5
_PAUSE_S = 1.0  # Kubo answers a ping that much after its end
_TRIPS = 20  # a block is asked for, promised, read from a disk and sent, by nodes that do more


@dataclass(frozen=True, slots=True)
class Answers:
    """Who answered a ping, of all members that the node knows or is connected to."""

    heard: tuple[str, ...]
    silent: tuple[str, ...]
    slowest_s: float

    @property
    def patience_s(self) -> float:
        """How long those who answered may take for a block that they have."""
        return max(_LEAST_S, _TRIPS * self.slowest_s)


class Members:
    """The members as one node sees them."""

    def __init__(self, rpc: KuboRpc, control: KuboControl) -> None:
        self._rpc = rpc
        self._control = control
        self._starting = Lock()
        self._under_way: Future[Answers] | None = None

    def ask(self, wait_s: float) -> Answers:
        """Ping all who are connected; who is not is silent. Raises Unreachable.

        Whoever asks while the members are being asked gets the same answers: of a file whose
        blocks nobody has several are missed at once.
        """
        with self._starting:
            others, own = self._under_way, Future[Answers]()
            self._under_way = others or own
        if others is not None:
            return others.result()
        try:
            own.set_result(self._asked(wait_s))
        except BaseException as exc:
            own.set_exception(exc)
            raise
        finally:
            self._under_way = None
        return own.result()

    def _asked(self, wait_s: float) -> Answers:
        known, peers = self._known(), self._control.peers()
        with ThreadPoolExecutor(max_workers=max(1, min(len(peers), _AT_ONCE))) as pool:
            answers = pool.map(lambda peer: self._ping(peer, wait_s), peers)
            times = dict(zip(peers, answers, strict=True))
        heard = {peer: took for peer, took in times.items() if took is not None}
        silent = {*known, *times} - heard.keys()
        return Answers(
            tuple(sorted(heard)), tuple(sorted(silent)), max(heard.values(), default=0.0)
        )

    def _known(self) -> set[str]:
        """Members whom the node is to be connected to. Raises Unreachable."""
        told = self._rpc.call("swarm/peering/ls", {})
        try:
            known = {str(peer["ID"]) for peer in told["Peers"] or ()}
        except (KeyError, TypeError) as exc:
            raise Unreachable(
                f"what answers at {self._rpc.url} is no RPC of Kubo: correct the address"
            ) from exc
        return known - {self._control.peer_id()}

    def _ping(self, peer: str, wait_s: float) -> float | None:
        """Seconds until the answer was at the node, None without one."""
        with suppress(StorageError):
            asked, until_s = {"arg": peer, "count": "1"}, wait_s + _PAUSE_S
            answer = self._rpc.read("ping", asked, limit=1 << 16, timeout_s=until_s)
            return min(filter(None, map(_took_s, answer.splitlines())), default=None)
        return None


def _took_s(line: bytes) -> float | None:
    """How long an answer took; None of a line that is none, but what the node says about it."""
    with suppress(ValueError, TypeError, RecursionError):
        told: Any = json.loads(line)
        if isinstance(told, dict) and told.get("Success") is True and told.get("Time"):
            return float(told["Time"]) / 1e9
    return None
