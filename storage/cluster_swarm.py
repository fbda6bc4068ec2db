"""A private swarm whose members keep copies of each other's pins: a Kubo and a cluster peer each.

<folder>/cluster.secret      the cluster's own network secret, mode 600
<folder>/<name>/member.json  how the member reaches both, mode 600
<folder>/<name>/card.json    how the others reach both
and what `storage.private_swarm` and `storage.cluster_node` keep there
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from storage.cluster import PIN_S, ClusterStore, Told
from storage.cluster_config import MIN_COPIES, ClusterMember, Rest, cluster_secret
from storage.cluster_member import ADDRESS, Member, read_member
from storage.cluster_node import START_S, ClusterPeer
from storage.cluster_tunnel import LOOPBACK, lead, open_door
from storage.files import write_durably
from storage.kubo import FIND_S
from storage.kubo_config import Peer
from storage.private_swarm import CONNECT_S, PrivateSwarm
from storage.swarm_card import Card, write_card

SECRET = "cluster.secret"  # noqa: S105 - the name of a file
_USER = "member"


class ClusterSwarm(PrivateSwarm):
    """The members' nodes and peers; a context manager. At least two members make a cluster."""

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        *,
        say: Callable[[str], None] | None = None,
        host: str = "127.0.0.1",
        abroad: Sequence[tuple[Peer, ClusterMember]] = (),
        one_port: bool = False,
        ports_may_change: bool = False,
    ) -> None:
        """As PrivateSwarm; of members abroad also the peer is known. With `one_port`, which all
        members have then, peers reach those abroad through the nodes alone."""
        nodes = [node for node, _peer in abroad]
        super().__init__(
            folder, names, say=say, host=host, abroad=nodes, ports_may_change=ports_may_change
        )
        self.peers = {name: ClusterPeer(folder / name) for name in names}
        self._members_abroad = list(abroad)
        self._peer_host = LOOPBACK if one_port else host
        self._ways: dict[str, list[int]] = {name: [] for name in names}
        self.streams = one_port
        self._peer_ports: dict[str, int] = {}

    def address(self, name: str) -> str:
        """See PrivateSwarm."""
        return f"{ADDRESS}{self.member_file(name).resolve()}"

    def member_file(self, name: str) -> Path:
        """How a member reaches its node and its peer."""
        return self.folder / name / "member.json"

    def store(
        self,
        name: str,
        *,
        find_s: float | None = None,
        copies: int | None = None,
        pin_s: float = PIN_S,
        told: Told | None = None,
    ) -> ClusterStore:
        """The store as the member of that name sees it; see ClusterStore."""
        return ClusterStore(
            read_member(self.member_file(name)),
            find_s=FIND_S if find_s is None else find_s,
            copies=copies,
            pin_s=pin_s,
            told=told,
        )

    def restart(self, *names: str, timeout_s: float = CONNECT_S) -> None:
        """See PrivateSwarm. Their doors are opened anew, too."""
        super().restart(*names, timeout_s=timeout_s)
        for name in names:
            self._open_ways(name)

    def restart_peer(self, name: str, timeout_s: float = START_S) -> None:
        """Start one cluster peer again, after a crash say. Raises NodeFailed."""
        peer = self.peers[name]
        peer.stop()
        peer.launch()
        peer.await_members({peer.peer_id: name}, timeout_s)

    def stop(self) -> None:
        """End all peers and nodes. Idempotent."""
        for peer in self.peers.values():
            peer.end()
        for peer in self.peers.values():
            peer.stop()
        super().stop()
        self._ways = {name: [] for name in self.nodes}  # given back: others may have them now

    def _hosts(self) -> Sequence[str]:
        """See PrivateSwarm: swarm, RPC, cluster, REST."""
        return (*super()._hosts(), self._peer_host, LOOPBACK)

    def _start_more(self, ports: Mapping[str, Sequence[int]]) -> None:
        secret = self._secret()
        for peer in self.peers.values():
            peer.create()
        members = {
            name: ClusterMember(peer.peer_id, self._peer_host, ports[name][2])
            for name, peer in self.peers.items()
        }
        for name, peer in self.peers.items():
            self._say(f"cluster peer of {name}")
            rest = Rest(ports[name][3], _USER, secrets.token_urlsafe(24))
            self._peer_ports[name] = ports[name][2]
            known = [*members.values(), *self._open_ways(name)]
            kubo = self.nodes[name].api_url
            peer.configure(members[name], known, secret, urlsplit(kubo).port or 0, rest)
            member = Member(kubo, peer.url, rest.user, rest.password, MIN_COPIES)
            member.write(self.member_file(name))
            own = Peer(self.nodes[name].peer_id, self.host, ports[name][0])
            write_card(self.folder / name / "card.json", Card(name, own, members[name]))
            peer.launch()
        self._say("waiting until all cluster peers see each other")
        names = {peer.peer_id: name for name, peer in self.peers.items()}
        for peer in self.peers.values():
            peer.await_members(names)

    def _open_ways(self, name: str) -> list[ClusterMember]:
        """Where the peers abroad are for the peer of that name, whose node runs."""
        if not self.streams:
            return [peer for _node, peer in self._members_abroad]
        if not self._ways[name]:
            self._ways[name] = [self._kept_ports.take(LOOPBACK) for _ in self._members_abroad]
        with self.nodes[name].store() as node:
            open_door(node.rpc, self._peer_ports[name])
            return lead(node.rpc, self._members_abroad, self._ways[name])

    def _secret(self) -> str:
        path = self.folder / SECRET
        if not path.exists():
            write_durably(path, cluster_secret().encode(), 0o600)
        return path.read_text("ascii")
