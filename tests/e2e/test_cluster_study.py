"""A study over three nodes and three cluster peers, of which one each dies in the middle of a
round, gives the model of an undisturbed one."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from storage.backends import CLUSTER_PRIVATE, backend_of
from storage.cid import Cid
from storage.cluster import ClusterStore
from storage.cluster_member import read_member
from storage.cluster_rpc import Copy
from storage.cluster_swarm import ClusterSwarm
from storage.store import BlockStore
from tests.e2e import kit
from tests.e2e.kit import World
from tests.e2e.stores import OneFolder, Stores, Swarm
from tests.storage.kit import LONG

pytestmark = [
    pytest.mark.engine("anvil", "kubo", "cluster"),
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    LONG,
]
NODES = ("north", "harbor", "center")
PATIENTS = 60


@dataclass
class Faults:
    """Ends harbor's node and the center's cluster peer when north's copies are first under way."""

    swarm: ClusterSwarm
    armed: bool = False
    repair: threading.Thread | None = None
    pids: list[int] = field(default_factory=list)

    def told(self, _cid: Cid, _copies: Sequence[Copy]) -> None:
        if not self.armed:
            return
        self.armed = False
        node, peer = self.swarm.nodes["harbor"], self.swarm.peers["center"]
        self.pids = [node.pid, peer.pid]
        node.kill()
        peer.kill()
        self.repair = threading.Thread(target=self._repair)
        self.repair.start()

    def _repair(self) -> None:
        self.swarm.restart("harbor")
        self.swarm.restart_peer("center")

    def over(self) -> None:
        """Others, who come hours later in life, find all running again."""
        if self.repair is not None:
            self.repair.join()
            self.repair = None


class InStep(ClusterStore):
    """A party's store, for whom the others' announcements have come and a crash is over."""

    def __init__(self, faults: Faults, name: str) -> None:
        self._faults = faults
        told = faults.told if name == "north" else None
        member = read_member(faults.swarm.member_file(name))
        super().__init__(member, find_s=20, told=told, pin_s=120)

    def pin(self, *cids: Cid) -> None:
        super().pin(*cids)
        self._faults.over()

    def announced(self, topic: bytes) -> list[Cid]:
        self._faults.swarm.await_heard()
        return super().announced(topic)


@dataclass(frozen=True)
class Clustered(Swarm):
    """Three members; who has none of its own uses the center's."""

    faults: Faults = field(kw_only=True)

    def open(self, party: str) -> BlockStore:
        return InStep(self.faults, party if party in NODES else "center")


@pytest.fixture
def faults(tmp_path: Path) -> Iterator[Faults]:
    with ClusterSwarm(tmp_path / "swarm", NODES) as swarm:
        assert backend_of(swarm.address("north")) == CLUSTER_PRIVATE
        found = Faults(swarm)
        yield found
        found.over()


def granted(folder: Path, stores: Stores) -> World:
    world = kit.build_world(folder, stores)
    kit.enrol_all(world, kit.study_spec(world), PATIENTS)
    kit.open_tiers(world)
    kit.ask_all(world)
    return world


def test_a_study_with_a_dead_node_and_a_dead_peer_gives_the_undisturbed_model(
    faults: Faults, tmp_path: Path
) -> None:
    calm = granted(tmp_path / "calm", OneFolder(tmp_path / "calm"))
    with calm.anvil:
        wanted = [kit.state_of(calm, kit.run_round(calm)) for _ in range(2)]
        calm.forget()
    world = granted(tmp_path / "world", Clustered(faults.swarm, faults=faults))
    with world.anvil:
        found = []
        for _ in range(2):
            faults.armed = True  # the next that north pins is of its cohort or its update
            found.append(kit.state_of(world, kit.run_round(world)))
            assert not faults.armed
        assert faults.swarm.nodes["harbor"].pid not in faults.pids
        assert faults.swarm.peers["center"].pid not in faults.pids
        assert found == wanted
        verdict = world.audit()
        assert verdict.ok
        world.forget()
