"""The members' engines of docker-compose.yml: each an IPFS node and a cluster peer in one network.

The configuration is that of any member of a one-port swarm (storage/kubo_config.py,
storage/cluster_config.py), for names and places in containers.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import workbench
from workbench import ToolError

from storage import cluster_config, kubo_config
from storage.cluster_config import ClusterMember, Rest
from storage.cluster_member import Member
from storage.cluster_node import ClusterPeer
from storage.cluster_tunnel import LOOPBACK, PROTOCOL
from storage.files import sync_folder, write_durably
from storage.kubo_config import Peer
from storage.kubo_node import KuboNode

CENTER = "center"
NODES = (CENTER, "north", "harbor")
SWARM_PORT = 4001
RPC_PORT = 5001
REST_PORT = 9094
CLUSTER_PORT = 9096
FIRST_WAY = 9097
REST_USER = "member"

say = partial(workbench.say, "compose-init")


class Named(Peer):
    """A member whose address is a name that the containers' network resolves."""

    __slots__ = ()

    @property
    def address(self) -> str:
        """As a multiaddress."""
        return f"/dns4/{self.host}/tcp/{self.port}"


def known_to(own: str) -> tuple[str, ...]:
    """Whom a member reaches, itself included."""
    return NODES if own == CENTER else (CENTER, own)


def contained(initial: dict[str, Any], own: str, peer_ids: Mapping[str, str]) -> dict[str, Any]:
    """The configuration of a node in its container, out of what `ipfs init` wrote.

    That of any node of a private swarm whose members need one port, but for three things: members
    have names, the swarm's port is open on every interface of the container, and a hospital knows
    the center alone, as it would on a network of its own. The RPC stays on loopback.
    """
    members = {name: Named(peer_ids[name], name, SWARM_PORT) for name in known_to(own)}
    config = kubo_config.hardened(
        initial, members[own], list(members.values()), RPC_PORT, streams=True
    )
    config["Addresses"]["Swarm"] = [f"/ip4/0.0.0.0/tcp/{SWARM_PORT}"]
    return config


def write_new(path: Path, text: str) -> bool:
    """Write a file whole or not at all; False, and nothing is done, where it exists."""
    if path.exists():
        return False
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    write_durably(temporary, text.encode(), 0o600)
    temporary.replace(path)
    sync_folder(path.parent)
    say(f"{path} is made")
    return True


def make_nodes(folder: Path) -> None:
    """Make each node's keys and configuration where they are missing."""
    nodes = {name: KuboNode(folder / name) for name in NODES}
    for node in nodes.values():
        if (node.repo / "config").exists() and not (node.repo / "initial").exists():
            raise ToolError(f"{node.repo} was left half made: remove it and run this again")
        node.create()
        # The mount point of the secret: without that one the node does not start.
        (node.repo / "swarm.key").touch(0o600)
    peer_ids = {name: node.peer_id for name, node in nodes.items()}
    for name, node in nodes.items():
        initial = json.loads((node.repo / "initial").read_bytes())
        wanted = contained(initial, name, peer_ids)
        configure(node.repo / "config", wanted, initial)
        ways = [f"listen {PROTOCOL} /ip4/{LOOPBACK}/tcp/{CLUSTER_PORT}"]
        ways += [
            f"forward {PROTOCOL} /ip4/{LOOPBACK}/tcp/{port} /p2p/{peer_ids[other]}"
            for other, port in ways_from(name).items()
        ]
        (folder.parent / "ways" / name).mkdir(exist_ok=True)
        write_new(folder.parent / "ways" / name / "p2p", "".join(f"{way}\n" for way in ways))


def configure(config: Path, wanted: dict[str, Any], initial: dict[str, Any]) -> None:
    """Replace what the engine's `init` wrote by the configuration of a container's, once."""
    found = json.loads(config.read_bytes()) if config.exists() else initial
    if config.exists() and found == wanted:
        return
    if found != initial:
        say(f"{config} is left as it is, and differs from what this version would write")
        return
    temporary = config.with_name(f".{config.name}.new")
    temporary.unlink(missing_ok=True)
    write_durably(temporary, json.dumps(wanted, indent=2).encode(), 0o600)
    temporary.replace(config)
    sync_folder(config.parent)
    say(f"{config} is made")


def ways_from(own: str) -> dict[str, int]:
    """The ports of its loopback at which a member's peer finds those of others."""
    others = [name for name in known_to(own) if name != own]
    return {name: port for port, name in enumerate(others, start=FIRST_WAY)}


def make_peers(folder: Path, secret: str) -> None:
    """Make each cluster peer's identity and configuration where they are missing."""
    peers = {name: ClusterPeer(folder / name) for name in NODES}
    for peer in peers.values():
        peer.create()
    ids = {name: peer.peer_id for name, peer in peers.items()}
    for name, peer in peers.items():
        path = folder / name / "member" / "member.json"
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            rest = Rest(REST_PORT, REST_USER, secrets.token_urlsafe(24))
            kubo, cluster = (f"http://{LOOPBACK}:{port}" for port in (RPC_PORT, REST_PORT))
            Member(kubo, cluster, rest.user, rest.password).write(path)
            say(f"{path} is made")
        rest = Rest(REST_PORT, REST_USER, str(json.loads(path.read_bytes())["password"]))
        initial = json.loads((peer.path / "initial").read_bytes())
        configure(peer.path / "service.json", clustered(initial, name, ids, secret, rest), initial)


def clustered(
    initial: dict[str, Any], own: str, ids: Mapping[str, str], secret: str, rest: Rest
) -> dict[str, Any]:
    """The configuration of a cluster peer in its node's network, out of what `init` wrote.

    It dials those whom its node reaches, and trusts every member.
    """
    places = {own: CLUSTER_PORT, **ways_from(own)}
    members = {name: ClusterMember(ids[name], LOOPBACK, port) for name, port in places.items()}
    config = cluster_config.hardened(
        initial, own, members[own], list(members.values()), secret, RPC_PORT, rest
    )
    config["consensus"]["crdt"]["trusted_peers"] = sorted(ids.values())
    return config
