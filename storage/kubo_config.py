"""The configuration of a node of a private swarm: no way out of it, no way in without the key.

https://github.com/ipfs/kubo/blob/master/docs/config.md
"""

import copy
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PROFILES = "autoconf-off,announce-off,unixfs-v1-2025"
# Without a swarm key libp2p would start open: with the first it then does not start at all.
ENVIRONMENT = {"LIBP2P_FORCE_PNET": "1", "IPFS_TELEMETRY": "off"}

_OFF: dict[str, Any] = {
    "AutoNAT": {"ServiceMode": "disabled"},
    "AutoTLS": {"Enabled": False},
    "Bootstrap": [],
    # Its cache of what is there would keep a block that is corrupt from being written again.
    "Datastore": {"BlockKeyCacheSize": 0},
    "Discovery": {"MDNS": {"Enabled": False}},
    "HTTPRetrieval": {"Enabled": False},
    "Plugins": {"Plugins": {"telemetry": {"Config": {"Mode": "off"}, "Disabled": True}}},
    "Routing": {"Type": "none"},
    "Swarm": {
        "DisableNatPortMap": True,
        "EnableHolePunching": False,
        "RelayClient": {"Enabled": False},
        "RelayService": {"Enabled": False},
        "Transports": {
            # Those that a swarm key does not cover, and Websocket, which logs an error under one.
            "Network": {
                "QUIC": False,
                "Relay": False,
                "WebRTCDirect": False,
                "WebTransport": False,
                "Websocket": False,
            }
        },
    },
    "Version": {"SwarmCheckEnabled": False},
}
_CLOSED: dict[str, Any] = {
    "Routing.Type": "none",
    "Discovery.MDNS.Enabled": False,
    "Swarm.RelayClient.Enabled": False,
    "Swarm.Transports.Network.QUIC": False,
}
_STREAMS: dict[str, Any] = {"Experimental": {"Libp2pStreamMounting": True}}
# Announcements (storage.feeds) are names that members tell each other; nobody else is asked.
_FEEDS: dict[str, Any] = {
    "Ipns": {"MaxCacheTTL": "0s", "RecordLifetime": "720h", "UsePubsub": True},
    "Pubsub": {"Enabled": True},
}


@dataclass(frozen=True, slots=True)
class Peer:
    """One member of the swarm and where it listens: an IP address and a TCP port."""

    peer_id: str
    host: str
    port: int

    @property
    def address(self) -> str:
        """As a multiaddress."""
        return f"/{'ip6' if ':' in self.host else 'ip4'}/{self.host}/tcp/{self.port}"


def swarm_key() -> str:
    """A new network secret, as the file `swarm.key`: who has it is a member."""
    return f"/key/swarm/psk/1.0.0/\n/base16/\n{secrets.token_hex(32)}\n"


def hardened(
    initial: dict[str, Any],
    own: Peer,
    members: Sequence[Peer],
    api_port: int = 0,
    *,
    streams: bool = False,
) -> dict[str, Any]:
    """What `ipfs init` with PROFILES wrote, closed to all but the members.

    Its RPC listens on loopback alone: whoever reaches it is the member. Port 0 is any free one.
    `streams` lets other programs of members talk through their nodes (storage.cluster_tunnel).
    """
    config = copy.deepcopy(initial)
    _merge(config, _OFF)
    _merge(config, _FEEDS)
    if streams:
        _merge(config, _STREAMS)
    api = f"/ip4/127.0.0.1/tcp/{api_port}"
    addresses = {"Swarm": [own.address], "API": api, "Gateway": "", "Announce": [own.address]}
    _merge(config, {"Addresses": addresses})
    config["Peering"] = {
        "Peers": [{"ID": member.peer_id, "Addrs": [member.address]} for member in members]
    }
    sync_blocks(config["Datastore"]["Spec"])
    return config


def ways_out(config: Mapping[str, Any]) -> list[str]:
    """Which settings of a running node lead beyond its private swarm; empty for a closed one.

    The key itself is in no configuration, so this is no proof that there is one: a node that has
    neither peers to ask nor a way to be found stays alone without it.
    """
    found = []
    if config.get("Bootstrap"):
        found.append("Bootstrap is not empty")
    for path, closed in _CLOSED.items():
        value: Any = config
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value != closed:
            found.append(f"{path} is not {closed}")
    return found


def sync_blocks(spec: dict[str, Any]) -> None:
    """Have flatfs reach the disk before it answers; as shipped it does not."""
    for mount in spec.get("mounts", ()):
        child = mount.get("child", mount)
        if child.get("type") == "flatfs":
            child["sync"] = True


def _merge(target: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict):
            if not isinstance(target.get(key), dict):
                target[key] = {}
            _merge(target[key], value)
        else:
            target[key] = copy.deepcopy(value)
