"""A real cluster peer starts from mended settings, and sees nobody who lacks the secret."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.cluster_config import Rest, cluster_secret
from storage.cluster_node import ClusterPeer
from storage.cluster_swarm import ClusterSwarm
from storage.hardening import put_at
from storage.hardening_files import check_cluster, check_folder, mend_folder
from storage.kubo_config import ENVIRONMENT
from storage.kubo_node import KuboNode
from tests.storage.kit import LONG, free_port
from tests.storage.test_hardening import CLUSTER_BROKEN

pytestmark = [
    pytest.mark.engine("kubo", "cluster"),
    pytest.mark.processes,
    LONG,
    pytest.mark.timeout(1800),
]
MENDED_BY_NOBODY = {"secret", "members"}


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[list[ClusterPeer]]:
    found = [ClusterPeer(tmp_path / name) for name in ("member", "stranger")]
    for peer in found:
        peer.create()
    yield found
    for peer in found:
        peer.stop()


def start(peer: ClusterPeer, config: dict[str, Any], kubo: KuboNode, secret: str) -> str:
    """Mend and start; where it listens for others. The ports are of this machine."""
    put_at(config, "cluster.secret", secret)
    (peer.path / "service.json").write_text(json.dumps(config))
    (peer.path / "service.json").chmod(0o644)
    mend_folder(peer.path)
    after = json.loads((peer.path / "service.json").read_text())
    port, rest = free_port(), free_port()
    after["cluster"]["listen_multiaddress"] = [f"/ip4/127.0.0.1/tcp/{port}"]
    after["api"]["restapi"]["http_listen_multiaddress"] = f"/ip4/127.0.0.1/tcp/{rest}"
    kubo_port = kubo.api_url.rsplit(":", 1)[1]
    after["ipfs_connector"]["ipfshttp"]["node_multiaddress"] = f"/ip4/127.0.0.1/tcp/{kubo_port}"
    (peer.path / "service.json").write_text(json.dumps(after))
    ((user, password),) = after["api"]["restapi"]["basic_auth_credentials"].items()
    peer.rest = Rest(rest, user, password)
    assert {item.rule for item in check_folder(peer.path, ENVIRONMENT)} <= {"members"}
    peer.launch()
    peer.await_members({peer.peer_id: "itself"})
    return f"/ip4/127.0.0.1/tcp/{port}/p2p/{peer.peer_id}"


def broken(peer: ClusterPeer) -> dict[str, Any]:
    """As shipped, and every rule that can be mended broken besides."""
    config: dict[str, Any] = json.loads((peer.path / "initial").read_text())
    for name, ways in CLUSTER_BROKEN.items():
        if name not in MENDED_BY_NOBODY:
            put_at(config, *ways[0])
    return config


def test_a_peer_starts_from_mended_settings_and_sees_no_one_without_the_secret(
    peers: list[ClusterPeer], tmp_path: Path
) -> None:
    member, stranger = peers
    with ClusterSwarm(tmp_path / "swarm", ["harbor", "hill"]) as swarm:
        for peer in swarm.peers.values():
            assert check_folder(peer.path, ENVIRONMENT) == []
            assert check_cluster(peer.url) == []
        kubo = swarm.nodes["harbor"]
        secret = cluster_secret()
        address = start(member, broken(member), kubo, secret)
        config = json.loads((stranger.path / "initial").read_text())
        config["cluster"]["peer_addresses"] = [address]
        start(stranger, config, swarm.nodes["hill"], cluster_secret())
        assert check_cluster(member.url) == []
        for peer in peers:
            rpc = peer.rpc()
            seen = rpc.identity()["cluster_peers"]
            rpc.close()
            assert seen == [peer.peer_id]
        stranger.stop()
        start(stranger, config, swarm.nodes["hill"], secret)
        stranger.await_members({member.peer_id: "member"})
