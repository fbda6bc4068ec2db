"""Real engines start from every mended configuration, and nobody without the key gets in."""

import copy
import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from storage import Codec, toolchain
from storage.errors import MissingBlock, Unreachable
from storage.hardening import Config, put_at
from storage.hardening_files import check_folder, check_kubo, mend_folder
from storage.kubo_config import ENVIRONMENT, Peer, swarm_key
from storage.kubo_node import KuboNode
from storage.private_swarm import PrivateSwarm
from tests.storage.kit import free_port
from tests.storage.test_hardening import KUBO_BROKEN
from tests.storage.test_private_swarm import Keyless, connect

pytestmark = [pytest.mark.engine("kubo"), pytest.mark.processes, pytest.mark.timeout(1800)]
MENDED_BY_NOBODY = {"peers", "rpc-paths", "rpc-secrets"}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Config]:
    """What `ipfs init` writes by itself, and by the profile that is advised for servers."""
    found = {}
    for profile in ("default", "server"):
        path = tmp_path_factory.mktemp("shipped") / profile
        chosen = [] if profile == "default" else ["--profile", profile]
        command = [str(toolchain.kubo()), "init", "--empty-repo", *chosen]
        env = {**os.environ, **ENVIRONMENT, "IPFS_PATH": str(path)}
        subprocess.run(command, env=env, check=True, capture_output=True, timeout=120)
        found[profile] = json.loads((path / "config").read_text())
    return found


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KuboNode]:
    node = KuboNode(tmp_path_factory.mktemp("member"))
    node.create()
    node.configure(Peer(node.peer_id, "127.0.0.1", free_port()), [], swarm_key())
    yield node
    node.stop()


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KuboNode]:
    """A node of the public kind: it has no key, and nothing makes it want one."""
    node = Keyless(tmp_path_factory.mktemp("stranger"))
    node.create()
    node.configure(Peer(node.peer_id, "127.0.0.1", free_port()), [], "")
    (node.repo / "swarm.key").unlink()
    node.launch()
    node.await_api()
    yield node
    node.stop()


def mend(node: KuboNode, config: Config) -> str:
    """The mended configuration as text, listening where this machine has a port."""
    file = node.repo / "config"
    identity = json.loads(file.read_text())["Identity"]
    file.write_text(json.dumps(config | {"Identity": identity}))
    mend_folder(node.repo)
    after = json.loads(file.read_text())
    put_at(after, "Addresses.API", "/ip4/127.0.0.1/tcp/0")
    put_at(after, "Addresses.Swarm", ["/ip4/127.0.0.1/tcp/0"])
    put_at(after, "Swarm.AddrFilters", None)  # loopback among them, where the stranger lives
    put_at(after, "API.Authorizations", None)  # this test commands the node without a user
    return json.dumps(after, sort_keys=True)


def broken_ones(node: KuboNode, shipped: dict[str, Config]) -> Iterator[tuple[str, Config]]:
    """By the rule that they break: as shipped, one rule each, all at once."""
    yield from shipped.items()
    good = json.loads((node.repo / "config").read_text())
    all_at_once = copy.deepcopy(shipped["server"])
    for name, ways in KUBO_BROKEN.items():
        for path, value in ways:
            if name == "sync":
                value = copy.deepcopy(good["Datastore"]["Spec"]["mounts"])
                value[0]["sync"] = False
            config = copy.deepcopy(good)
            put_at(config, path, value)
            yield name, config
            if name not in MENDED_BY_NOBODY:
                put_at(all_at_once, path, value)
    yield "all", all_at_once


@pytest.mark.slow
def test_a_node_starts_from_every_mended_configuration_and_no_stranger_connects(
    member: KuboNode, stranger: KuboNode, shipped: dict[str, Config]
) -> None:
    distinct: dict[str, list[str]] = {}
    for name, config in list(broken_ones(member, shipped)):
        distinct.setdefault(mend(member, config), []).append(name)
    assert set(KUBO_BROKEN) | {"default", "server", "all"} == {
        name for names in distinct.values() for name in names
    }

    for text, names in distinct.items():
        config = json.loads(text)
        put_at(config, "Addresses.Swarm", [f"/ip4/127.0.0.1/tcp/{free_port()}"])
        (member.repo / "config").write_text(json.dumps(config))
        left = {item.rule for item in check_folder(member.repo, ENVIRONMENT)}
        assert left <= {"peers"}, names
        member.launch()
        member.await_api()
        try:
            assert {item.rule for item in check_kubo(member.api_url)} == left
            _keeps_out(member, stranger)
        finally:
            member.stop()


def _keeps_out(member: KuboNode, stranger: KuboNode) -> None:
    for here, there in ((stranger, member), (member, stranger)):
        with pytest.raises(Unreachable, match=r"failed to negotiate security|in time"):
            connect(here, there)
    with member.store() as inside, stranger.store(find_s=1) as outside:
        cid = inside.put_block(Codec.RAW, os.urandom(40))
        with pytest.raises(MissingBlock, match="none of the 0 members"):
            outside.get_block(cid)
        assert inside.control.peers() == []


def test_what_we_write_ourselves_has_no_findings(swarm: PrivateSwarm) -> None:
    for node in swarm.nodes.values():
        assert check_folder(node.repo, ENVIRONMENT) == []
        assert check_kubo(node.api_url) == []


def test_an_address_that_is_no_node_is_named() -> None:
    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:1"):
        check_kubo("http://127.0.0.1:1")
