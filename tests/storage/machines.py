"""Members of one swarm on a machine each, as hospitals are: nothing of one is another's child."""

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from storage.cluster import ClusterStore
from storage.cluster_config import ClusterMember, cluster_secret
from storage.cluster_member import read_member
from storage.cluster_swarm import ClusterSwarm
from storage.kubo_config import Peer, swarm_key
from storage.kubo_control import KuboControl
from tests.storage.kit import eventually
from tests.storage.networks import Network

PORTS = (4001, 5001, 9096, 9094)


@dataclass
class Machines:
    """Who runs what, and the network between them."""

    network: Network
    swarms: Mapping[str, ClusterSwarm]

    @contextmanager
    def store(self, name: str, *, pin_s: float = 300, find_s: float = 30) -> Iterator[ClusterStore]:
        """The member's store, with the calling thread on its machine."""
        member = read_member(self.swarms[name].member_file(name))
        with (
            self.network.of(name),
            ClusterStore(member, pin_s=pin_s, find_s=find_s, call_s=20) as store,
        ):
            yield store

    def await_connected(self, names: Sequence[str], *, nodes: bool = True) -> None:
        """Wait until all of these see each other: nodes dial anew in longer and longer pauses."""
        for name in names:
            others = set(names) - {name}
            with self.network.of(name):
                if nodes:
                    wanted = {self.swarms[other].nodes[other].peer_id for other in others}
                    control = KuboControl(self.swarms[name].nodes[name].api_url, timeout_s=10)
                    assert eventually(
                        lambda wanted=wanted, control=control: wanted <= set(control.peers()), 300
                    )
                peers = {self.swarms[other].peers[other].peer_id: other for other in names}
                self.swarms[name].peers[name].await_members(peers, 300)


@contextmanager
def machines(
    folder: Path,
    names: Sequence[str],
    *,
    closed: Sequence[str] = (),
    one_port: bool = False,
) -> Iterator[Machines]:
    """All of them run. Of the `closed` ones no port can be reached from outside."""
    network = Network(names)
    key, secret = swarm_key(), cluster_secret()
    hosts = network.hosts | dict.fromkeys(closed, "127.0.0.1")
    for name in names:
        (folder / name).mkdir()
        (folder / name / "ports.json").write_text(json.dumps({name: PORTS}))
        for file, content in (("swarm.key", key), ("cluster.secret", secret)):
            (folder / name / file).write_text(content)
            (folder / name / file).chmod(0o600)
    made = {name: ClusterSwarm(folder / name, [name], host=hosts[name]) for name in names}
    for name, swarm in made.items():
        swarm.nodes[name].create()
        swarm.peers[name].create()
    known = {
        name: (
            Peer(swarm.nodes[name].peer_id, hosts[name], PORTS[0]),
            ClusterMember(swarm.peers[name].peer_id, hosts[name], PORTS[2]),
        )
        for name, swarm in made.items()
    }
    swarms = {
        name: ClusterSwarm(
            folder / name,
            [name],
            host=hosts[name],
            abroad=[known[other] for other in names if other != name],
            one_port=one_port,
        )
        for name in names
    }

    def start(name: str) -> None:
        with network.of(name):
            swarms[name].start()

    with ExitStack() as stack:
        stack.callback(network.close)
        for swarm in swarms.values():
            stack.callback(swarm.stop)
        with ThreadPoolExecutor(len(names)) as pool:
            list(pool.map(start, names))
        yield Machines(network, swarms)
