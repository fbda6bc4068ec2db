"""Several Kubo nodes under one swarm key on this machine, each a member's own.

<folder>/swarm.key      the network's secret, mode 600
<folder>/ports.json     where each listens: of its name, [swarm, RPC] and what else it needs
<folder>/<name>/        one node
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from storage.errors import NodeFailed, Unreachable
from storage.files import write_durably
from storage.hearing import HEAR_S, Hearing
from storage.kubo import KuboStore
from storage.kubo_config import Peer, swarm_key
from storage.kubo_control import KuboControl
from storage.kubo_node import START_S, KuboNode
from storage.ports import Ports, read_ports

CONNECT_S = 180.0
PORT_S = 10.0  # for a recorded port: whoever had it may be ending
_HOST = "127.0.0.1"
_TICK_S = 0.1


class PrivateSwarm:
    """The members' nodes; a context manager. They die with the process that started them."""

    streams = False
    """Whether other programs of the members talk through their nodes."""

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        *,
        say: Callable[[str], None] | None = None,
        host: str = _HOST,
        abroad: Sequence[Peer] = (),
        ports_may_change: bool = False,
    ) -> None:
        """`names` are folders' names, `host` the IP address at which members reach these nodes,
        `abroad` members that others run. Nothing is made or started yet.

        `ports_may_change` is for a swarm of whose ports nobody else was told: one that another
        program has taken meanwhile is exchanged. Else the start fails."""
        self.folder = folder
        self.host = host
        self._abroad = list(abroad)
        self.nodes = {name: KuboNode(folder / name) for name in names}
        self._say = say or (lambda _line: None)
        self._lock = FileLock(folder / ".lock")
        self._kept_ports = Ports()
        self._ports_may_change = ports_may_change
        self._members: dict[str, Peer] = {}
        self._hearing: Hearing | None = None

    def start(self, timeout_s: float = CONNECT_S) -> Self:
        """Make what is missing, start every node, wait until each is connected to each.

        Raises EngineMissing, NodeFailed, BadConfiguration.
        """
        self._take()
        with ExitStack() as undo:
            undo.callback(self.stop)
            key = self._key()
            for name, node in self.nodes.items():
                self._say(f"IPFS node of {name}")
                node.create()
            ports = self._chosen_ports()
            members = {
                name: Peer(node.peer_id, self.host, ports[name][0])
                for name, node in self.nodes.items()
            }
            for name, node in self.nodes.items():
                known = [*members.values(), *self._abroad]
                node.configure(members[name], known, key, ports[name][1], streams=self.streams)
                node.launch()
            for node in self.nodes.values():
                node.await_api(START_S)
            self._say("waiting until all IPFS nodes are connected")
            self._await_peers(members, timeout_s)
            self._members = members
            self._start_more(ports)
            self._hearing = Hearing(self.nodes)
            undo.pop_all()
        return self

    def address(self, name: str) -> str:
        """How `storage.backends` opens a member's store."""
        return self.nodes[name].api_url

    def store(self, name: str, *, find_s: float | None = None) -> KuboStore:
        """The store as the member of that name sees it."""
        return self.nodes[name].store(find_s=find_s)

    def await_heard(self, timeout_s: float = HEAR_S) -> None:
        """Wait until each node knows all that the others have announced so far.

        For who runs all members on one machine, where milliseconds lie between steps that are
        hours apart in life. Raises NodeFailed, Unreachable.
        """
        if self._hearing is None:
            raise NodeFailed(f"the IPFS nodes in {self.folder} are not running: start them first")
        self._hearing.wait(timeout_s)

    def restart(self, *names: str, timeout_s: float = CONNECT_S) -> None:
        """Start members' nodes again, after a crash say, where they listened before.

        Raises NodeFailed.
        """
        for name in names:
            self.nodes[name].stop()
            self.nodes[name].launch()
        for name in names:
            self.nodes[name].await_api(START_S)
        self._await_peers(self._members, timeout_s)
        if self._hearing is not None:
            for name in names:
                self._hearing.tell(name)

    def stop(self) -> None:
        """End all nodes. Idempotent."""
        if self._hearing is not None:
            self._hearing.close()
            self._hearing = None
        for node in self.nodes.values():
            node.end()
        for node in self.nodes.values():
            node.stop()
        self._kept_ports.give_back()
        self._lock.release()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _start_more(self, ports: Mapping[str, Sequence[int]]) -> None:
        """What else goes with the nodes, which run: nothing here."""

    def _take(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout as exc:
            raise NodeFailed(
                f"another process runs the IPFS nodes in {self.folder}: use theirs, or another "
                "folder"
            ) from exc

    def _key(self) -> str:
        path = self.folder / "swarm.key"
        if not path.exists():
            write_durably(path, swarm_key().encode(), 0o600)
        return path.read_text("ascii")

    def _chosen_ports(self) -> dict[str, list[int]]:
        """Ports of each node, which are free now: the recorded ones, before others are drawn."""
        path, hosts = self.folder / "ports.json", self._hosts()
        last = read_ports(path)
        ports = {}
        for name in self.nodes:
            wanted = [*last.get(name, ()), *[0] * len(hosts)]
            places = zip(hosts, wanted, strict=False)
            ports[name] = [port and self._claimed(name, host, port) for host, port in places]
        for chosen in ports.values():
            places = zip(hosts, chosen, strict=True)
            chosen[:] = [port or self._kept_ports.take(host) for host, port in places]
        path.write_text(json.dumps({**last, **ports}), "utf-8")
        return ports

    def _hosts(self) -> Sequence[str]:
        """The address of each port of a node: swarm, RPC."""
        return (self.host, _HOST)

    def _claimed(self, name: str, host: str, port: int) -> int:
        """The recorded port; 0 where it is to be exchanged. Raises NodeFailed."""
        try:
            self._kept_ports.claim(host, port, 0.0 if self._ports_may_change else PORT_S)
        except NodeFailed as exc:
            if self._ports_may_change:
                return 0
            raise NodeFailed(
                f"{name} is to listen where {self.folder / 'ports.json'} says, and {exc}; end what "
                "has it, or write another port there (0: any) and hand the new card to all members"
            ) from exc
        return port

    def _await_peers(self, members: dict[str, Peer], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        for name, node in self.nodes.items():
            control = KuboControl(node.api_url, timeout_s=10)
            others = {peer.peer_id: other for other, peer in members.items() if other != name}
            for absent in others.keys() - set(control.peers()):
                # Nodes dial each other by themselves, but those that came too early wait first.
                with suppress(Unreachable), node.store() as store:
                    store.connect(f"{members[others[absent]].address}/p2p/{absent}")
            while missing := others.keys() - set(control.peers()):
                if time.monotonic() > deadline:
                    raise NodeFailed(
                        f"the IPFS node of {name} is not connected to "
                        f"{', '.join(sorted(others[peer] for peer in missing))} after "
                        f"{timeout_s:.0f} s: look at {node.log}"
                    )
                time.sleep(_TICK_S)
