"""The configuration of a peer of IPFS Cluster: known members, counted copies, no way in besides.

https://ipfscluster.io/documentation/reference/configuration/
"""

import copy
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MIN_COPIES = 2
MAX_COPIES = 3
PING_S = 10  # who is silent for two of these is taken for lost, and copied elsewhere
_OFF: dict[str, Any] = {
    "enable_relay_hop": False,
    "mdns_interval": "0s",
    "disable_repinning": False,
    "follower_mode": False,
    "leave_on_shutdown": False,
    "pin_only_on_trusted_peers": True,
    "replication_factor_min": MIN_COPIES,
    "replication_factor_max": MAX_COPIES,
    "monitor_ping_interval": f"{PING_S}s",
    "pin_recover_interval": "1m0s",
    "state_sync_interval": "1m0s",
}
# As shipped its gossip settles in tens of seconds.
_GOSSIP: dict[str, Any] = {"heartbeat_interval": "1s", "flood_publish": True}


@dataclass(frozen=True, slots=True)
class ClusterMember:
    """One peer of the cluster and where it listens: an IP address and a TCP port."""

    peer_id: str
    host: str
    port: int

    @property
    def address(self) -> str:
        """As a multiaddress, without its name."""
        return f"/{'ip6' if ':' in self.host else 'ip4'}/{self.host}/tcp/{self.port}"


@dataclass(frozen=True, slots=True)
class Rest:
    """Where a peer's REST API listens on loopback, and who may use it."""

    port: int
    user: str
    password: str


def cluster_secret() -> str:
    """A new secret of the cluster's own network (32 bytes, hexadecimal): who has it connects."""
    return secrets.token_hex(32)


def hardened(
    initial: dict[str, Any],
    name: str,
    own: ClusterMember,
    members: Sequence[ClusterMember],
    secret: str,
    kubo_port: int,
    rest: Rest,
) -> dict[str, Any]:
    """What `ipfs-cluster-service init` wrote, closed to all but the members.

    Only `members` change what is pinned; by default anyone with the secret could. Kubo's RPC and
    the REST API are on loopback: the one has no password, the other sends it in clear.
    """
    config = copy.deepcopy(initial)
    others = [item for item in members if item.peer_id != own.peer_id]
    config["cluster"] |= _OFF | {
        "peername": name,
        "secret": secret,
        "listen_multiaddress": [own.address],
        "announce_multiaddress": [own.address],
        "peer_addresses": [f"{item.address}/p2p/{item.peer_id}" for item in others],
    }
    config["cluster"]["pubsub"] |= _GOSSIP
    config["consensus"]["crdt"]["trusted_peers"] = sorted(item.peer_id for item in members)
    config["api"] = {
        "restapi": config["api"]["restapi"]
        | {
            "http_listen_multiaddress": f"/ip4/127.0.0.1/tcp/{rest.port}",
            "basic_auth_credentials": {rest.user: rest.password},
            "cors_allowed_origins": [],
            "cors_allow_credentials": False,
        }
    }
    connector = config["ipfs_connector"]["ipfshttp"]
    connector["node_multiaddress"] = f"/ip4/127.0.0.1/tcp/{kubo_port}"
    config["monitor"]["pubsubmon"]["check_interval"] = "5s"
    # Who tells its free space counts as a holder. It must have stopped by the time that it is taken
    # for lost: of two that die together neither would be copied else, for no second alarm comes.
    config["informer"]["disk"]["metric_ttl"] = f"{PING_S}s"
    return config
