"""The demo's private IPFS: a node of its own for each hospital, the center and the auditor.

Operator, relayer and patients, who leave public messages alone, use the center's: docs/adr/0022.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from api.home import Home, HomeConfig, HomeRole
from storage.cluster_swarm import SECRET, ClusterSwarm
from storage.private_swarm import PrivateSwarm

FOLDER = "swarm"
OWNERS = (HomeRole.CENTER, HomeRole.HOSPITAL, HomeRole.AUDITOR)


def demo_swarm(folder: Path, hospitals: Iterable[str], *, copies: bool = False) -> PrivateSwarm:
    """The nodes of a demo in `folder`; they are not started yet. With `copies` each has a peer of
    IPFS Cluster beside it, and what one pins lies at several."""
    kind = ClusterSwarm if copies else PrivateSwarm
    return kind(folder / FOLDER, [*hospitals, "center", "auditor"], ports_may_change=True)


def node_of(config: HomeConfig) -> str:
    """The name of the node that a home uses."""
    return config.name if config.role in OWNERS else HomeRole.CENTER.value


def resume_swarm(folder: Path) -> PrivateSwarm | None:
    """The nodes of an earlier demo, running again; None where its store is a folder.

    A node whose port another program took meanwhile has a new one: the homes learn it. Raises
    EngineMissing, NodeFailed.
    """
    if not (folder / FOLDER).is_dir():
        return None
    homes = [Home.open(path.parent, passphrase="") for path in sorted(_homes(folder))]
    hospitals = [home.config.name for home in homes if home.config.role is HomeRole.HOSPITAL]
    copies = (folder / FOLDER / SECRET).exists()
    swarm = demo_swarm(folder, hospitals, copies=copies).start()
    for home in homes:
        home.set_store(swarm.address(node_of(home.config)))
    return swarm


def in_step(swarm: PrivateSwarm | None, say: Callable[[str, str], None]) -> Callable[..., None]:
    """`say`, which before each step waits until every node has heard what earlier ones announced.

    In life hours lie between two parties' steps; here it is less than a message takes.
    """
    if swarm is None:
        return say

    def tell(who: str, what: str) -> None:
        swarm.await_heard()
        say(who, what)

    return tell


def _homes(folder: Path) -> Iterable[Path]:
    yield from folder.glob("*/home.json")
    yield from folder.glob("hospitals/*/home.json")
