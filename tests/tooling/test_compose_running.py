"""What docker-compose.yml mounts and starts runs: on real engines, in containers of this test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from storage.kubo_config import swarm_key, ways_out
from tests.storage.kit import LONG
from tests.tooling.containers import Machine, Running, eventually, loaded
from tests.tooling.kit import ROOT

MIB = 1 << 20
SEEN = {"center": {"north", "harbor"}, "north": {"center"}, "harbor": {"center"}}
NODES = tuple(SEEN)
RPC = "--api=/ip4/127.0.0.1/tcp/5001"

pytestmark = [
    pytest.mark.engine("anvil", "compose", "kubo", "cluster"),
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes containers"),
]


@pytest.fixture(scope="module")
def model(project: Path) -> dict[str, Any]:
    return loaded(project)


@pytest.fixture(scope="module")
def machine(model: dict[str, Any]) -> Iterator[Machine]:
    with Machine(model) as found:
        yield found


@pytest.fixture(scope="module")
def swarm(machine: Machine) -> dict[str, Running]:
    """The three nodes, each hospital connected to the center from a network of its own."""
    for name in NODES:
        machine.start(name)
    running = {name: machine.start(f"kubo-{name}") for name in NODES}
    for name in NODES:
        machine.await_healthy(f"kubo-{name}", running[name])
        eventually(lambda at=name: len(peers(machine, at)) == len(SEEN[at]), running[name].said)
    return running


PARENT = """
import sys, time
from pathlib import Path
from tests.storage.kit import LONG
from tests.tooling.containers import Machine, loaded
machine = Machine(loaded(Path(sys.argv[1])))
machine.start("kubo-north", ["sleep", "600"])
print(machine.holder_pid, machine.folder, flush=True)
time.sleep(600)
"""


def test_containers_end_with_the_test_however_that_ends(project: Path) -> None:
    command = [sys.executable, "-c", PARENT, project]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        holder, folder = parent.stdout.readline().split()
        space = Path(f"/proc/{holder}/ns/pid_for_children").readlink()
        assert list(living_in(space))
        parent.kill()
    eventually(lambda: not list(living_in(space)), lambda: f"{list(living_in(space))} live on")
    shutil.rmtree(folder, ignore_errors=True)  # who set them up may still write on its way out


def living_in(space: Path) -> Iterator[str]:
    """The processes of a namespace."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "ns" / "pid").readlink() == space:
                yield process.name


def ipfs(machine: Machine, node: str, *arguments: str) -> str:
    done = machine.run(f"kubo-{node}", ["ipfs", RPC, *arguments])
    assert done.returncode == 0, done.stdout
    return done.stdout


def peers(machine: Machine, node: str) -> list[str]:
    return ipfs(machine, node, "swarm", "peers").split()


def repo(project: Path, node: str) -> Path:
    return project / ".compose" / "kubo" / node / "repo"


def peer_id(project: Path, node: str) -> str:
    return str(json.loads((repo(project, node) / "config").read_text())["Identity"]["PeerID"])


def test_the_three_nodes_find_each_other_by_their_names(
    machine: Machine, swarm: dict[str, Running], project: Path
) -> None:
    for name in NODES:
        ids = {address.rsplit("/", 1)[1] for address in peers(machine, name)}
        assert ids == {peer_id(project, other) for other in SEEN[name]}


def test_what_one_hospital_adds_another_reads_once_the_center_has_it(
    machine: Machine, swarm: dict[str, Running]
) -> None:
    added = machine.run("kubo-north", ["sh", "-c", f"echo a model | ipfs {RPC} add --quieter"])
    assert added.returncode == 0, added.stdout
    for name in ("north", "center", "harbor"):
        assert ipfs(machine, name, "cat", added.stdout.strip()) == "a model\n"


def test_a_running_node_has_no_way_out(
    machine: Machine, swarm: dict[str, Running], project: Path
) -> None:
    for name in NODES:
        assert ways_out(json.loads(ipfs(machine, name, "config", "show"))) == []
        listening = ipfs(machine, name, "swarm", "addrs", "listen").split()
        assert all("/tcp/4001" in address for address in listening)
        told = json.loads(ipfs(machine, name, "id"))["Addresses"]
        assert told == [f"/dns4/{name}/tcp/4001/p2p/{peer_id(project, name)}"]


def test_nobody_commands_the_node_of_another(machine: Machine, swarm: dict[str, Running]) -> None:
    """The RPC of a node gives everything away that it holds, and takes any command."""
    for name, other in (("north", "center"), ("harbor", "center"), ("center", "harbor")):
        tried = [
            machine.run(f"kubo-{name}", ["bash", "-c", f"exec 3<>/dev/tcp/{other}/{port}"])
            for port in (4001, 5001)
        ]
        assert tried[0].returncode == 0, tried[0].stdout
        assert tried[1].returncode != 0
        assert "Connection refused" in tried[1].stdout


def test_a_hospital_does_not_reach_another(machine: Machine, swarm: dict[str, Running]) -> None:
    """Neither by name nor where its node is found: there is no way."""
    to = machine.networks["north"]["north"][0]
    for place in ("north", to):
        tried = machine.run("kubo-harbor", ["bash", "-c", f"exec 3<>/dev/tcp/{place}/4001"])
        assert tried.returncode != 0
        assert "Connection refused" not in tried.stdout
    assert machine.run("kubo-center", ["bash", "-c", f"exec 3<>/dev/tcp/{to}/4001"]).returncode == 0


@contextmanager
def another_harbor(
    machine: Machine, swarm: dict[str, Running], model: dict[str, Any]
) -> Iterator[None]:
    """In place of harbor's node what another compose file would start; the own one comes back."""
    machine.stop(swarm["harbor"])
    own, machine.model = machine.model, model
    try:
        yield
    finally:
        machine.model = own
        again = swarm["harbor"] = machine.start("kubo-harbor")
        machine.await_healthy("kubo-harbor", again)
        eventually(lambda: reunited(machine), again.said)


def reunited(machine: Machine) -> bool:
    """Whether harbor has the center; else it is told to dial it, as its operator would.

    By themselves nodes dial one that was away ever more seldom, up to ten minutes apart.
    """
    if len(peers(machine, "harbor")) == 1:
        return True
    name = ipfs(machine, "center", "id", "--format=<id>").strip()
    to = f"/dns4/center/tcp/4001/p2p/{name}"
    machine.run("kubo-harbor", ["ipfs", RPC, "swarm", "connect", to])
    return False


def test_a_node_with_another_key_is_kept_out(
    model: dict[str, Any], swarm: dict[str, Running], machine: Machine, project: Path
) -> None:
    foreign = project / "foreign.key"
    foreign.write_text(swarm_key())
    os.chown(foreign, 1000, 1000)
    changed = deepcopy(model)
    changed["secrets"]["swarm.key"]["file"] = str(foreign)
    with another_harbor(machine, swarm, changed):
        stranger = machine.start("kubo-harbor")
        machine.await_healthy("kubo-harbor", stranger)
        to = f"/dns4/center/tcp/4001/p2p/{peer_id(project, 'center')}"
        done = machine.run("kubo-harbor", ["ipfs", RPC, "swarm", "connect", to])
        assert done.returncode != 0
        assert "failed to negotiate security protocol" in done.stdout
        assert peers(machine, "harbor") == []
        assert len(peers(machine, "center")) == 1
        machine.stop(stranger)


def test_a_node_whose_key_is_not_mounted_does_not_start(
    model: dict[str, Any], swarm: dict[str, Running], machine: Machine
) -> None:
    changed = deepcopy(model)
    del changed["services"]["kubo-harbor"]["secrets"]
    with another_harbor(machine, swarm, changed):
        done = machine.run("kubo-harbor")
        assert done.returncode != 0
        assert "private network" in done.stdout


def test_what_was_made_stays_as_it_was_made(swarm: dict[str, Running], project: Path) -> None:
    """Kubo rewrites no configuration; the secret stays a mount and is not left in a repository."""
    for name in NODES:
        assert (repo(project, name) / "swarm.key").read_bytes() == b""
        config = repo(project, name) / "config"
        assert config.stat().st_mode & 0o777 == 0o600
        assert json.loads(config.read_text())["Addresses"]["API"] == "/ip4/127.0.0.1/tcp/5001"


PIN = """
import io, os, sys
from pathlib import Path
from storage.cluster import ClusterStore
from storage.cluster_member import read_member
with ClusterStore(read_member(Path("/member/member.json")), copies=3, pin_s=600) as store:
    cid = store.add_file(io.BytesIO(os.urandom(3 << 20)))
    store.pin(cid)
    print(cid, len(store.cluster.copies(str(cid))))
"""


@LONG
def test_what_the_center_pins_has_copies_at_both_hospitals(
    machine: Machine, swarm: dict[str, Running]
) -> None:
    """Their peers have no port of their own: the ways through the nodes are opened for them."""
    running = {name: machine.start(f"cluster-{name}") for name in NODES}
    done = machine.run("deploy", ["python", "-c", PIN])
    said = "".join(f"\n{name}: {item.said()[-3000:]}" for name, item in running.items())
    assert done.returncode == 0, done.stdout + said
    cid, copies = done.stdout.split()
    assert copies == "3"
    for name in NODES:
        assert cid in ipfs(machine, name, "pin", "ls", "--type=recursive", "--quiet").split()
        sockets = machine.run(f"kubo-{name}", ["cat", "/proc/net/tcp"]).stdout.splitlines()[1:]
        ends = [line.split()[1].split(":") for line in sockets if line.split()[3] == "0A"]
        assert {int(port, 16) for host, port in ends if host != "0100007F"} == {4001}
    for name, item in running.items():
        used, limit = item.peak_bytes(), machine.limit_bytes(f"cluster-{name}")
        print(f"cluster-{name}: {used / MIB:.0f} of {limit / MIB:.0f} MiB")  # noqa: T201
        assert 0 < used < limit / 2
        assert machine.stop(item) == 0, item.said()


def test_the_api_serves_a_deployed_chain_through_the_centers_node(
    machine: Machine, swarm: dict[str, Running]
) -> None:
    anvil = machine.start("anvil")
    machine.await_healthy("anvil", anvil)
    done = machine.run("deploy")
    assert done.returncode == 0, done.stdout
    again = machine.run("deploy")
    assert (again.returncode, again.stdout) == (0, "")
    # As a person would look into what was made: `docker compose run deploy consilium …`.
    shown = machine.run("deploy", ["consilium", "--home", "/homes/operator", "participant", "show"])
    assert (shown.returncode, "coins" in shown.stdout) == (0, True), shown.stdout
    api = machine.start("api")
    machine.await_healthy("api", api)
    for service, running in (("anvil", anvil), ("api", api), ("kubo-center", swarm["center"])):
        used, limit = running.peak_bytes(), machine.limit_bytes(service)
        print(f"{service}: {used / MIB:.0f} of {limit / MIB:.0f} MiB")  # noqa: T201
        assert 0 < used < limit / 2
    # The chain outlives its container.
    assert machine.stop(anvil) == 0, anvil.said()
    machine.await_healthy("anvil", machine.start("anvil"))
    machine.await_healthy("api", api)
    assert machine.stop(api) == 0, api.said()
