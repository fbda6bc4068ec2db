"""docker-compose.yml opens nothing that it need not, and takes what it starts from the locks."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from chain import toolchain
from storage.hardening_files import check_folder
from storage.kubo_config import ENVIRONMENT, Peer, hardened, ways_out
from tests.tooling.containers import loaded
from tests.tooling.dockerfile import stages
from tests.tooling.kit import ROOT, load

NODES = ("center", "north", "harbor")
VALIDATORS = tuple(f"besu-{n}" for n in range(1, 5))
BESU = "hyperledger/besu:26.3.0"  # whose options chain/besu.py was written for; it never ran here
ENGINES = load(ROOT / "tools" / "engines.py")

pytestmark = pytest.mark.engine("compose", "kubo", "cluster")


@pytest.fixture(scope="module")
def model(project: Path) -> dict[str, Any]:
    return loaded(project)


@pytest.fixture(scope="module")
def services(model: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = model["services"]
    return found


def test_it_does_not_start_before_its_secrets_are_made() -> None:
    program = ENGINES.built(ENGINES.COMPOSE)
    done = subprocess.run([program, "docker-compose.yml"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert "run make compose-init" in done.stderr


def test_it_starts_a_chain_three_members_of_a_cluster_and_the_api(services: dict[str, Any]) -> None:
    nodes = {f"{part}-{name}" for part in ("kubo", "cluster") for name in NODES}
    assert services.keys() == {*NODES, "anvil", "deploy", "api", *nodes, *VALIDATORS}
    assert {name for name, service in services.items() if "profiles" in service} == {*VALIDATORS}
    assert services["api"]["depends_on"]["deploy"]["condition"] == "service_completed_successfully"
    for name in ("anvil", "kubo-center"):
        assert services["deploy"]["depends_on"][name]["condition"] == "service_healthy"


def test_each_image_is_of_the_version_that_is_tested_here(services: dict[str, Any]) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    engines = {
        f"ipfs/kubo:v{ENGINES.KUBO.version}",
        f"ipfs/ipfs-cluster:v{ENGINES.CLUSTER.version}",
    }
    images = {*engines, f"consilium:{version}", BESU}
    assert {service["image"] for service in services.values()} == images
    for service in services.values():
        own = service["image"].startswith("consilium:")
        assert ("build" in service) == own
        assert (service.get("pull_policy") == "build") == own


@pytest.mark.engine("anvil")
def test_the_chain_is_the_anvil_of_the_locks(services: dict[str, Any]) -> None:
    pinned = json.loads((ROOT / "package.json").read_text())["devDependencies"]["@foundry-rs/anvil"]
    lock = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    binaries = [name for name in lock if name.startswith("node_modules/@foundry-rs/anvil")]
    assert {lock[name]["version"] for name in binaries} == {pinned}
    command = [toolchain.anvil(), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"anvil Version: {pinned}" in said
    assert services["anvil"]["command"][:3] == ["consilium", "chain", "start"]
    copied = [source for copy in stages()[-1].copies() for source in copy.sources]
    assert "/app/node_modules/@foundry-rs" in copied


def test_the_one_published_port_is_the_apis_on_loopback(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published.keys() == {"center"}
    (port,) = published["center"]
    assert (port["host_ip"], port["published"], port["target"]) == ("127.0.0.1", "8645", 8645)
    assert services["api"]["network_mode"] == "service:center"
    assert stages()[-1].of("EXPOSE") == ["8645"]


def test_only_the_center_sees_more_than_one_network(model: dict[str, Any]) -> None:
    inside = {
        name: service.get("networks", {}).keys() for name, service in model["services"].items()
    }
    assert {name: sorted(found) for name, found in inside.items() if found} == {
        "anvil": ["chain"],
        "center": ["chain", "edge", "harbor", "north"],
        "harbor": ["harbor"],
        "north": ["north"],
        **{name: ["chain", "validators"] for name in VALIDATORS},
    }
    for name in ("north", "harbor", "chain", "validators"):
        assert model["networks"][name]["internal"] is True
    masquerade = "com.docker.network.bridge.enable_ip_masquerade"
    assert model["networks"]["edge"]["driver_opts"] == {masquerade: "false"}


def test_no_container_may_more_than_it_needs(services: dict[str, Any]) -> None:
    for service in services.values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["read_only"] is True
        assert service["user"] == "1000:1000"
        forbidden = (
            "cap_add",
            "devices",
            "ipc",
            "pid",
            "privileged",
            "userns_mode",
            "volumes_from",
        )
        assert not set(forbidden) & service.keys()
        assert service.get("network_mode", "service:center").removeprefix("service:") in NODES
        for place in service["tmpfs"]:
            assert re.search(r":size=\d+m\b", place)


def test_each_container_has_an_end_to_what_it_takes(services: dict[str, Any]) -> None:
    for service in services.values():
        assert service["memswap_limit"] == service["mem_limit"]
        assert service["pids_limit"] > 0
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}
        assert service["restart"] in ("unless-stopped", "on-failure:3")


def test_only_what_is_made_beside_it_is_mounted(
    services: dict[str, Any], project: Path, model: dict[str, Any]
) -> None:
    assert "volumes" not in model
    for service in services.values():
        for volume in service.get("volumes", ()):
            assert volume["type"] == "bind"
            # Docker would make a missing folder, as root.
            assert volume["bind"] == {"create_host_path": False}
            assert Path(volume["source"]).is_dir()
            assert Path(volume["source"]).is_relative_to(project / ".compose")
    ignored = subprocess.run(["git", "check-ignore", "--quiet", ".compose/"], cwd=ROOT)
    assert ignored.returncode == 0


def test_secrets_are_files_and_nowhere_else(
    model: dict[str, Any], services: dict[str, Any], project: Path
) -> None:
    everything = json.dumps(model)
    for name, secret in model["secrets"].items():
        file = Path(secret["file"])
        assert file == project / ".compose" / "secrets" / name
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.read_text().split()[-1] not in everything
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"(?i)pass|secret|token|key", variable):
                assert variable.endswith("_FILE")
                assert value.startswith("/run/secrets/")
        wanted = {"passphrase"} if name in ("api", "deploy") else set()
        wanted |= {"swarm.key"} if name.startswith("kubo-") else set()
        assert {secret["source"] for secret in service.get("secrets", ())} == wanted


def test_kubo_starts_with_the_environment_of_every_private_node(services: dict[str, Any]) -> None:
    for name in NODES:
        assert ENVIRONMENT.items() <= services[f"kubo-{name}"]["environment"].items()
        assert services[f"kubo-{name}"]["command"] == ["daemon", "--migrate=false"]


@pytest.mark.parametrize("name", NODES)
def test_the_mounted_configuration_is_that_of_every_private_node_but_for_names(
    services: dict[str, Any], name: str
) -> None:
    (volume,) = services[f"kubo-{name}"]["volumes"]
    repo = Path(volume["source"])
    initial, found = (json.loads((repo / file).read_bytes()) for file in ("initial", "config"))
    assert ways_out(found) == []
    assert found["Addresses"]["Announce"] == [f"/dns4/{name}/tcp/4001"]
    told = [(peer["ID"], *peer["Addrs"]) for peer in found["Peering"]["Peers"]]
    known = list(NODES) if name == "center" else ["center", name]  # as on a network of its own
    assert [address for _, address in told] == [f"/dns4/{other}/tcp/4001" for other in known]
    members = [Peer(peer_id, other, 4001) for (peer_id, _), other in zip(told, known, strict=True)]
    plain = hardened(initial, members[known.index(name)], members, 5001, streams=True)
    assert found["Addresses"].pop("Swarm") == ["/ip4/0.0.0.0/tcp/4001"]
    plain["Addresses"].pop("Swarm")
    assert json.loads(json.dumps(plain).replace("/ip4/", "/dns4/")) == json.loads(
        json.dumps(found).replace("/ip4/", "/dns4/")
    )


@pytest.mark.parametrize("name", NODES)
def test_node_and_cluster_peer_of_a_member_share_a_network_that_neither_ends(
    services: dict[str, Any], name: str
) -> None:
    for part in ("kubo", "cluster"):
        service = services[f"{part}-{name}"]
        assert service["network_mode"] == f"service:{name}"
        assert service["depends_on"][name] == {
            "condition": "service_started",
            "required": True,
            "restart": True,
        }
    assert services[f"cluster-{name}"]["depends_on"][f"kubo-{name}"]["condition"] == (
        "service_healthy"
    )


@pytest.mark.parametrize("name", NODES)
def test_a_members_engines_pass_the_check_but_for_the_way_between_peers(
    services: dict[str, Any], name: str
) -> None:
    (node,), (peer,) = (services[f"{part}-{name}"]["volumes"] for part in ("kubo", "cluster"))
    found = check_folder(Path(node["source"]), services[f"kubo-{name}"]["environment"])
    # The key is a secret that is mounted over the empty file.
    assert {item.setting for item in found} == {"Experimental.Libp2pStreamMounting", "swarm.key"}
    assert check_folder(Path(peer["source"]), {}) == []


@pytest.mark.parametrize("name", NODES)
def test_a_cluster_peer_is_reached_on_loopback_alone_and_trusts_the_three(
    services: dict[str, Any], name: str, project: Path
) -> None:
    folder = project / ".compose" / "cluster"
    config = json.loads((folder / name / "cluster" / "service.json").read_bytes())
    ids = {
        other: json.loads((folder / other / "cluster" / "identity.json").read_bytes())["id"]
        for other in NODES
    }
    assert config["consensus"]["crdt"]["trusted_peers"] == sorted(ids.values())
    assert config["cluster"]["listen_multiaddress"] == ["/ip4/127.0.0.1/tcp/9096"]
    known = NODES[1:] if name == "center" else ("center",)
    assert config["cluster"]["peer_addresses"] == [
        f"/ip4/127.0.0.1/tcp/{port}/p2p/{ids[other]}" for port, other in enumerate(known, 9097)
    ]
    (volume,) = services[name]["volumes"]
    ways = (Path(volume["source"]) / "p2p").read_text().splitlines()
    repos = project / ".compose" / "kubo"
    nodes = [json.loads((repos / other / "repo" / "config").read_bytes()) for other in known]
    assert ways == [
        "listen /x/consilium-cluster /ip4/127.0.0.1/tcp/9096",
        *(
            f"forward /x/consilium-cluster /ip4/127.0.0.1/tcp/{port} "
            f"/p2p/{node['Identity']['PeerID']}"
            for port, node in enumerate(nodes, 9097)
        ),
    ]


@pytest.mark.parametrize("name", VALIDATORS)
def test_a_validator_talks_to_members_alone_and_bars_no_account(
    services: dict[str, Any], name: str, project: Path
) -> None:
    command = services[name]["command"]
    assert "--permissions-nodes-config-file-enabled=true" in command
    assert not [option for option in command if "permissions-accounts" in option]
    (volume,) = services[name]["volumes"]
    home = Path(volume["source"])
    mounted = {path.name for path in home.iterdir()}
    for option in command:
        if found := re.search(r"=/validator/([a-z.-]+)$", option):
            assert found[1] in mounted | {"data"}
    members = json.loads((home / "static-nodes.json").read_text())
    assert tomllib.loads((home / "permissions.toml").read_text()) == {"nodes-allowlist": members}
    own = (home / "enode").read_text().strip()
    assert own in members
    assert f"@{services[name]['networks']['validators']['ipv4_address']}:30303" in own
    first = project / ".compose" / "besu" / "1" / "genesis.json"
    assert (home / "genesis.json").read_bytes() == first.read_bytes()


@pytest.mark.parametrize("name", VALIDATORS)
def test_whoever_reaches_a_validators_rpc_cannot_vote_or_rule_it(
    services: dict[str, Any], name: str
) -> None:
    options = dict(item.split("=", 1) for item in services[name]["command"])
    assert options["--rpc-http-api"] == "ETH,NET,WEB3"
    assert not [option for option in options if option.startswith("--rpc-ws")]
    assert options["--Xrpc-ipc-path"].startswith(options["--data-path"])
    assert "ports" not in services[name]


def test_a_validator_asks_no_price_for_gas_as_its_genesis_does(services: dict[str, Any]) -> None:
    for name in VALIDATORS:
        options = dict(item.split("=", 1) for item in services[name]["command"])
        assert options["--min-gas-price"] == "0"
        home = Path(services[name]["volumes"][0]["source"])
        assert json.loads((home / "genesis.json").read_text())["config"]["zeroBaseFee"] is True


def test_no_file_names_a_floating_version_or_the_engines_socket() -> None:
    for name in ("Dockerfile", "docker-compose.yml"):
        text = (ROOT / name).read_text()
        assert not re.search(r"latest|docker\.sock|privileged: true|network_mode: host", text)
