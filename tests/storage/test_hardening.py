"""Every rule for the settings of a private swarm: broken, found and mended; modes and keys.

The settings below are ours; `test_hardening_nodes.py` starts real engines from mended ones.
"""

import copy
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from api.cli.main import main
from storage.errors import BadConfiguration, Unreachable
from storage.hardening import Config, Severity, findings, mended, put_at
from storage.hardening_cluster import CLUSTER_RULES
from storage.hardening_files import check_cluster, check_folder, mend_folder, read_environment
from storage.hardening_kubo import KUBO_RULES
from storage.kubo_config import ENVIRONMENT, swarm_key
from tests.storage.test_kubo import hostile, saying

SPEC = {"mounts": [{"type": "flatfs", "path": "blocks", "sync": True}], "type": "mount"}
KUBO = mended(
    KUBO_RULES,
    {
        "Identity": {"PeerID": "12D3KooW"},
        "Datastore": {"Spec": SPEC},
        "Peering": {"Peers": [{"ID": "12D3KooX", "Addrs": ["/ip4/10.0.0.2/tcp/4001"]}]},
    },
)
MEMBER = "/ip4/10.0.0.2/tcp/9096/p2p/12D3KooX"
CLUSTER = mended(
    CLUSTER_RULES, {"cluster": {"secret": "0f" * 32, "peer_addresses": [MEMBER]}, "api": {}}
)
PAGES = {"Access-Control-Allow-Origin": ["*"]}
NETWORK = "Swarm.Transports.Network."
KUBO_BROKEN: dict[str, list[tuple[str, Any]]] = {
    "autoconf": [("AutoConf.Enabled", True), ("AutoConf", {}), ("AutoConf.Enabled", "false")],
    "placeholders": [("DNS.Resolvers", {".": "auto"}), ("Ipns.DelegatedPublishers", ["auto"])],
    "autotls": [("AutoTLS.Enabled", True), ("AutoTLS", None)],
    "bootstrap": [("Bootstrap", ["/dnsaddr/example.org/p2p/12D3KooX"]), ("Bootstrap", ["auto"])],
    "quic": [(NETWORK + "QUIC", True), (NETWORK + "QUIC", None)],
    "webtransport": [(NETWORK + "WebTransport", True), ("Swarm.Transports", {})],
    "webrtc": [(NETWORK + "WebRTCDirect", True)],
    "websocket": [(NETWORK + "Websocket", True)],
    "listen": [
        ("Addresses.Swarm", ["/ip4/0.0.0.0/tcp/4001", "/ip4/0.0.0.0/udp/4001/quic-v1"]),
        ("Addresses.Swarm", ["/ip4/0.0.0.0/tcp/4001/ws"]),
        ("Addresses.Swarm", []),
        ("Addresses.Swarm", 7),
    ],
    "routing": [("Routing.Type", "auto"), ("Routing.Type", "dht"), ("Routing", {})],
    "routers": [("Routing.DelegatedRouters", ["https://example.org"])],
    "publishers": [("Ipns.DelegatedPublishers", ["https://example.org"])],
    "provide": [("Provide.Enabled", True), ("Provide", {"DHT": {"Interval": "0"}})],
    "resolvers": [("DNS.Resolvers", {"eth.": "https://example.org/dns-query"})],
    "retrieval": [("HTTPRetrieval.Enabled", True), ("HTTPRetrieval", {})],
    "mdns": [("Discovery.MDNS.Enabled", True)],
    "relay-client": [("Swarm.RelayClient.Enabled", True), ("Swarm.RelayClient", {})],
    "relay-service": [("Swarm.RelayService.Enabled", True)],
    "relay": [(NETWORK + "Relay", True)],
    "hole-punching": [("Swarm.EnableHolePunching", True)],
    "port-map": [("Swarm.DisableNatPortMap", False)],
    "autonat": [("AutoNAT.ServiceMode", "enabled"), ("AutoNAT", {})],
    "telemetry": [("Plugins.Plugins", None), ("Plugins.Plugins.telemetry", {"Disabled": False})],
    "version-check": [("Version.SwarmCheckEnabled", True)],
    "gateway": [("Addresses.Gateway", "/ip4/127.0.0.1/tcp/8080")],
    "rpc-address": [
        ("Addresses.API", "/ip4/0.0.0.0/tcp/5001"),
        ("Addresses.API", ["/ip4/127.0.0.1/tcp/5001", "/ip6/::/tcp/5001"]),
        ("Addresses.API", "/dns4/node.example.org/tcp/5001"),
        ("Addresses.API", "5001"),
    ],
    "rpc-paths": [
        ("API.Authorizations", {"a": {"AuthSecret": f"bearer:{'s' * 32}", "AllowedPaths": []}}),
        ("API.Authorizations", {"a": {"AuthSecret": f"bearer:{'s' * 32}", "AllowedPaths": ["/"]}}),
    ],
    "rpc-secrets": [
        ("API.Authorizations", {"a": {"AuthSecret": "basic:a:short", "AllowedPaths": ["/x"]}}),
        ("API.Authorizations", {"a": {"AllowedPaths": ["/x"]}}),
    ],
    "rpc-origins": [
        ("API.HTTPHeaders", PAGES),
        ("API.HTTPHeaders", {"access-control-allow-origin": ["*"]}),
    ],
    "rpc-streams": [("Experimental.Libp2pStreamMounting", True)],
    "rpc-proxy": [("Experimental.P2pHttpProxy", True)],
    "filters": [("Swarm.AddrFilters", ["/ip4/10.0.0.0/ipcidr/8"])],
    "announced": [("Addresses.NoAnnounce", ["/ip4/192.168.0.0/ipcidr/16"])],
    "peers": [("Peering.Peers", []), ("Peering", {})],
    "sync": [("Datastore.Spec.mounts", [{"type": "flatfs", "path": "blocks", "sync": False}])],
    "import": [("Import", {}), ("Import.UnixFSFileMaxLinks", 174)],
}
REST = "api.restapi."
CLUSTER_BROKEN: dict[str, list[tuple[str, Any]]] = {
    "trusted-peers": [
        ("consensus.crdt.trusted_peers", ["*"]),
        ("consensus.crdt.trusted_peers", ["12D3KooX", "*"]),
        ("consensus", {}),
    ],
    "pin-on-trusted": [("cluster.pin_only_on_trusted_peers", False)],
    "secret": [("cluster.secret", ""), ("cluster.secret", "00" * 32), ("cluster.secret", "ab")],
    "members": [("cluster.peer_addresses", [])],
    "copies": [
        ("cluster.replication_factor_min", -1),
        ("cluster.replication_factor_max", -1),
        ("cluster.replication_factor_min", 1),
        ("cluster.replication_factor_min", 4),
        ("cluster.replication_factor_min", True),
    ],
    "repinning": [("cluster.disable_repinning", True), ("cluster.disable_repinning", None)],
    "listen": [("cluster.listen_multiaddress", ["/ip4/0.0.0.0/udp/9096/quic"])],
    "mdns": [("cluster.mdns_interval", "10s"), ("cluster.mdns_interval", None)],
    "relay": [("cluster.enable_relay_hop", True)],
    "rest-address": [(REST + "http_listen_multiaddress", "/ip4/0.0.0.0/tcp/9094")],
    "rest-users": [
        (REST + "basic_auth_credentials", None),
        (REST + "basic_auth_credentials", {}),
        (REST + "basic_auth_credentials", {"a": "short"}),
    ],
    "rest-origins": [(REST + "cors_allowed_origins", ["*"])],
    "ipfsproxy": [("api.ipfsproxy", {"listen_multiaddress": "/ip4/127.0.0.1/tcp/9095"})],
    "pinsvcapi": [("api.pinsvcapi", {})],
    "kubo": [("ipfs_connector.ipfshttp.node_multiaddress", "/ip4/10.0.0.3/tcp/5001")],
    "metrics": [
        (
            "observations.metrics",
            {"enable_stats": True, "prometheus_endpoint": "/ip4/0.0.0.0/tcp/8888"},
        )
    ],
}
CASES = [
    pytest.param(rules, good, name, path, value, id=f"{kind}-{name}-{number}")
    for kind, rules, good, broken in (
        ("kubo", KUBO_RULES, KUBO, KUBO_BROKEN),
        ("cluster", CLUSTER_RULES, CLUSTER, CLUSTER_BROKEN),
    )
    for name, ways in broken.items()
    for number, (path, value) in enumerate(ways)
]


def broken(good: Config, path: str, value: Any) -> Config:
    config = copy.deepcopy(good)
    put_at(config, path, copy.deepcopy(value))
    return config


def test_every_rule_is_broken_somewhere_below() -> None:
    assert [rule.name for rule in KUBO_RULES] == list(KUBO_BROKEN)
    assert [rule.name for rule in CLUSTER_RULES] == list(CLUSTER_BROKEN)


def test_closed_settings_break_no_rule() -> None:
    assert findings(KUBO_RULES, KUBO, "kubo") == []
    assert findings(CLUSTER_RULES, CLUSTER, "cluster") == []


@pytest.mark.parametrize(("rules", "good", "name", "path", "value"), CASES)
def test_a_broken_rule_is_found_and_mended_once(
    rules: Any, good: Config, name: str, path: str, value: Any
) -> None:
    config = broken(good, path, value)
    found = {item.rule: item for item in findings(rules, config, "here")}
    assert name in found
    after = mended(rules, config)
    left = [item.rule for item in findings(rules, after, "here")]
    assert left == [item.rule for item in found.values() if not item.mendable]
    assert mended(rules, after) == after
    assert all(item.where == "here" and item.reason and item.fix for item in found.values())


@pytest.mark.parametrize("form", [None, 7, "x", [], {}, [[]], {"a": {"b": 1}}])
@pytest.mark.parametrize("rules", [KUBO_RULES, CLUSTER_RULES], ids=["kubo", "cluster"])
def test_settings_of_any_form_are_judged_and_mended_without_a_fault(rules: Any, form: Any) -> None:
    names = {rule.setting.split(", ")[0] for rule in rules} - {"Datastore.Spec"}
    for path in sorted(names | {name.split(".")[0] for name in names} - {"api"}):
        config = {"Datastore": {"Spec": SPEC}, "api": {}}
        put_at(config, path, form)
        left = findings(rules, mended(rules, config), "here")
        assert not [item.rule for item in left if item.mendable]


def test_a_secret_is_in_no_finding() -> None:
    secret = "basic:someone:word"
    config = broken(KUBO, "API.Authorizations", {"a": {"AuthSecret": secret, "AllowedPaths": []}})
    assert "word" not in repr(findings(KUBO_RULES, config, "here"))
    config = broken(CLUSTER, "cluster.secret", "ab" * 31)
    assert "ab" * 31 not in repr(findings(CLUSTER_RULES, config, "here"))


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    for name, text in (("config", json.dumps(KUBO)), ("swarm.key", swarm_key())):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    return folder


def test_a_closed_node_has_no_findings(repo: Path) -> None:
    assert check_folder(repo, ENVIRONMENT) == []


@pytest.mark.parametrize("secret", ["config", "swarm.key"])
def test_secrets_that_others_may_read_are_found_and_made_the_owners(
    repo: Path, secret: str
) -> None:
    (repo / secret).chmod(0o644)
    (found,) = check_folder(repo, ENVIRONMENT)
    assert (found.rule, found.where) == ("mode", str(repo / secret))
    mend_folder(repo)
    assert check_folder(repo, ENVIRONMENT) == []


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "/key/swarm/psk/1.0.0/\n/base16/\n",
        "/key/swarm/psk/1.0.0/\n/base16/\n" + "0" * 64,
        swarm_key()[:-3],
        swarm_key() + "more\n",
    ],
    ids=["absent", "empty", "no key", "zeros", "short", "more"],
)
def test_a_swarm_key_that_is_absent_or_none_is_found(repo: Path, text: str | None) -> None:
    if text is None:
        (repo / "swarm.key").unlink()
    else:
        (repo / "swarm.key").write_text(text)
    assert [item.rule for item in check_folder(repo, ENVIRONMENT)] == ["swarm-key"]


def test_a_node_that_may_start_without_the_key_is_found(repo: Path) -> None:
    (found,) = check_folder(repo, {"IPFS_TELEMETRY": "off"})
    assert (found.rule, found.severity) == ("libp2p-force-pnet", Severity.HIGH)


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000])
def test_what_is_no_configuration_is_said_to_be_none(repo: Path, content: str) -> None:
    (repo / "config").write_text(content)
    with pytest.raises(BadConfiguration, match="config"):
        check_folder(repo, {})
    with pytest.raises(BadConfiguration, match="neither"):
        check_folder(repo.parent, {})


def test_a_cluster_that_answers_without_a_password_is_found() -> None:
    with hostile_get(200) as url:
        assert [item.rule for item in check_cluster(url)] == ["rest-users"]
    with hostile_get(401) as url:
        assert check_cluster(url) == []
    with socket.socket() as probe:  # nobody else can listen there
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        with pytest.raises(Unreachable, match=url):
            check_cluster(url)


def hostile_get(status: int) -> Any:
    return hostile(saying(status, b"{}"))


def test_the_command_lists_mends_and_tells_by_its_status(
    repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repo / "config").write_text(json.dumps(broken(KUBO, "Bootstrap", ["auto"])))
    env = tmp_path / "ipfs.env"
    env.write_text("# for systemd\nGOGC=100\nLIBP2P_FORCE_PNET=0\n")
    asked = ["swarm", "check", str(repo), "--env", str(env)]
    assert main([*asked, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    wanted = ["placeholders", "bootstrap", "libp2p-force-pnet", "ipfs-telemetry"]
    assert [item["rule"] for item in found] == wanted
    assert main([*asked, "--fix"]) == 0
    assert read_environment(env) == ENVIRONMENT | {"GOGC": "100"}
    assert json.loads((repo / "config").read_text()) == KUBO
    assert (repo / "config").stat().st_mode & 0o777 == 0o600


def test_a_running_node_is_not_mended_from_afar() -> None:
    assert main(["swarm", "check", "http://127.0.0.1:1", "--fix"]) == 2
