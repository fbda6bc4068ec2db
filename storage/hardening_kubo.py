"""What a Kubo configuration must say under a swarm key, a rule each.

https://github.com/ipfs/kubo/blob/v0.43.0/docs/config.md. Absent settings are judged by what 0.43
does without them.
"""

import copy
import ipaddress
from collections.abc import Callable
from typing import Any

from storage.hardening import (
    Config,
    Rule,
    Severity,
    as_list,
    exactly,
    is_local,
    is_tcp,
    put_at,
    texts_in,
    value_at,
)
from storage.kubo_config import sync_blocks

HIGH, MEDIUM, LOW = Severity
_API = "/ip4/127.0.0.1/tcp/5001"
_SWARM = "/ip4/0.0.0.0/tcp/4001"
_PROFILE = {
    "CidVersion": 1,
    "UnixFSRawLeaves": True,
    "UnixFSChunker": "size-1048576",
    "HashFunction": "sha2-256",
    "UnixFSFileMaxLinks": 1024,
}
_SECRET_LENGTH = 16
_AUTO = ("Bootstrap", "DNS", "Ipns", "Routing")
_NOT_COVERED = "a swarm key covers TCP alone: with this on the node does not start under one"


def _no_placeholders(config: Config) -> bool:
    return not _mentions_auto({key: config.get(key) for key in _AUTO})


def _mentions_auto(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_mentions_auto(item) for item in value.values())
    if isinstance(value, list):
        return any(_mentions_auto(item) for item in value)
    return bool(value == "auto")


def _drop_placeholders(config: Config) -> None:
    for key in config.keys() & set(_AUTO):
        config[key] = _without_auto(config[key])


def _without_auto(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_auto(item) for key, item in value.items() if item != "auto"}
    if isinstance(value, list):
        return [_without_auto(item) for item in value if item != "auto"]
    return value


def _only_tcp(config: Config) -> bool:
    found = as_list(value_at(config, "Addresses.Swarm"))
    return bool(found) and all(map(is_tcp, found))


def _keep_tcp(config: Config) -> None:
    kept = [item for item in texts_in(value_at(config, "Addresses.Swarm")) if is_tcp(item)]
    put_at(config, "Addresses.Swarm", kept or [_SWARM])


def _api_local(config: Config) -> bool:
    found = as_list(value_at(config, "Addresses.API"))
    return all(map(is_local, found)) or bool(value_at(config, "API.Authorizations"))


def _api_paths(config: Config) -> bool:
    users = value_at(config, "API.Authorizations") or {}
    return all(user["AllowedPaths"] and "/" not in user["AllowedPaths"] for user in users.values())


def _api_secrets(config: Config) -> bool:
    users = value_at(config, "API.Authorizations") or {}
    return all(_is_secret(str(user["AuthSecret"])) for user in users.values())


def _is_secret(text: str) -> bool:
    kind, _, rest = text.partition(":")
    secret = rest.partition(":")[2] if kind == "basic" else rest
    return kind in ("basic", "bearer") and len(secret) >= _SECRET_LENGTH


def _no_foreign_pages(config: Config) -> bool:
    headers = value_at(config, "API.HTTPHeaders") or {}
    allowed = {name.lower(): value for name, value in headers.items()}
    return "*" not in as_list(allowed.get("access-control-allow-origin"))


def _drop_headers(config: Config) -> None:
    put_at(config, "API.HTTPHeaders", {})


def _reaches_lan(setting: str) -> Callable[[Config], bool]:
    return lambda config: not any(map(_private, as_list(value_at(config, setting))))


def _drop_private(setting: str) -> Callable[[Config], None]:
    def mend(config: Config) -> None:
        kept = [item for item in texts_in(value_at(config, setting)) if not _private(item)]
        put_at(config, setting, kept)

    return mend


def _private(address_filter: str) -> bool:
    """`/ip4/10.0.0.0/ipcidr/8` and the like: ranges of a hospital's own network."""
    parts = address_filter.split("/")
    if len(parts) < 5 or parts[3] != "ipcidr":
        return False
    try:
        network = ipaddress.ip_network(f"{parts[2]}/{parts[4]}", strict=False)
    except ValueError:
        return False
    return network.is_private and not network.is_loopback and not network.is_link_local


def _blocks_synced(config: Config) -> bool:
    spec = value_at(config, "Datastore.Spec")
    synced = copy.deepcopy(spec)
    sync_blocks(synced)
    return bool(synced == spec)


def _sync(config: Config) -> None:
    sync_blocks(config["Datastore"]["Spec"])


def _same_cids(config: Config) -> bool:
    found = value_at(config, "Import") or {}
    return all(found.get(key) == value for key, value in _PROFILE.items())


def _set_profile(config: Config) -> None:
    for key, value in _PROFILE.items():
        put_at(config, f"Import.{key}", value)


def _telemetry_off(config: Config) -> bool:
    plugin = value_at(config, "Plugins.Plugins.telemetry") or {}
    mode = (plugin.get("Config") or {}).get("Mode")
    return plugin.get("Disabled") is True or mode == "off"


def _disable_telemetry(config: Config) -> None:
    put_at(config, "Plugins.Plugins.telemetry.Disabled", True)
    put_at(config, "Plugins.Plugins.telemetry.Config.Mode", "off")


def _has_peers(config: Config) -> bool:
    return bool(value_at(config, "Peering.Peers"))


def _provides_nothing(config: Config) -> bool:
    return value_at(config, "Provide.Enabled") is False


def _stop_providing(config: Config) -> None:
    put_at(config, "Provide.Enabled", False)
    put_at(config, "Provide.DHT.Interval", "0")


_NETWORK = "Swarm.Transports.Network."
KUBO_RULES = (
    exactly(
        *("autoconf", "AutoConf.Enabled", False, HIGH),
        "the node asks a public server for peers and resolvers, and does not start under a key",
    ),
    Rule(
        *("placeholders", "Bootstrap, DNS, Ipns, Routing", HIGH),
        'a placeholder "auto" stands for public servers',
        "remove every 'auto'",
        _no_placeholders,
        _drop_placeholders,
    ),
    exactly(
        *("autotls", "AutoTLS.Enabled", False, HIGH),
        "the node registers its address with a public service, and does not start under a key",
    ),
    exactly(*("bootstrap", "Bootstrap", [], HIGH), "the node dials strangers at each start"),
    exactly(*("quic", _NETWORK + "QUIC", False, HIGH), _NOT_COVERED),
    exactly(*("webtransport", _NETWORK + "WebTransport", False, HIGH), _NOT_COVERED),
    exactly(*("webrtc", _NETWORK + "WebRTCDirect", False, HIGH), _NOT_COVERED),
    exactly(
        *("websocket", _NETWORK + "Websocket", False, LOW),
        "members use TCP, and under a key it logs an error at each start",
    ),
    Rule(
        *("listen", "Addresses.Swarm", HIGH),
        "the node listens by a transport that a swarm key does not cover, or nowhere",
        "keep addresses of the form /ip4/…/tcp/PORT",
        _only_tcp,
        _keep_tcp,
    ),
    exactly(
        *("routing", "Routing.Type", "none", HIGH),
        "the node asks routers or a DHT who has what, by default public ones over HTTP",
    ),
    exactly(
        *("routers", "Routing.DelegatedRouters", [], HIGH),
        "what the node looks for is told to HTTP routers",
        none_too=True,
    ),
    exactly(
        *("publishers", "Ipns.DelegatedPublishers", [], HIGH),
        "the names that the node publishes are sent to HTTP servers",
        none_too=True,
    ),
    Rule(
        *("provide", "Provide.Enabled", HIGH),
        "the node announces the CIDs that it holds",
        "set Provide.Enabled to false and Provide.DHT.Interval to 0",
        _provides_nothing,
        _stop_providing,
    ),
    exactly(
        *("resolvers", "DNS.Resolvers", {}, MEDIUM),
        "names are asked of resolvers over HTTPS beyond the hospital's own",
        none_too=True,
    ),
    exactly(
        *("retrieval", "HTTPRetrieval.Enabled", False, HIGH),
        "blocks are asked of public gateways over HTTP",
    ),
    exactly(
        *("mdns", "Discovery.MDNS.Enabled", False, MEDIUM),
        "the node tells everyone in the local network that it is there",
    ),
    exactly(
        *("relay-client", "Swarm.RelayClient.Enabled", False, MEDIUM),
        "the node looks for strangers who relay to it",
    ),
    exactly(
        *("relay-service", "Swarm.RelayService.Enabled", False, MEDIUM),
        "the node carries the traffic of others",
    ),
    exactly(
        *("relay", _NETWORK + "Relay", False, MEDIUM),
        "the node accepts and makes connections through relays",
    ),
    exactly(
        *("hole-punching", "Swarm.EnableHolePunching", False, MEDIUM),
        "the node has strangers help it through the hospital's firewall",
    ),
    exactly(
        *("port-map", "Swarm.DisableNatPortMap", True, HIGH),
        "the node opens a port in the hospital's router",
    ),
    exactly(
        *("autonat", "AutoNAT.ServiceMode", "disabled", LOW),
        "the node dials addresses that others name",
    ),
    Rule(
        *("telemetry", "Plugins.Plugins.telemetry", MEDIUM),
        "figures about the node are sent to its makers each day",
        "disable the plugin, and set IPFS_TELEMETRY=off",
        _telemetry_off,
        _disable_telemetry,
    ),
    exactly(
        *("version-check", "Version.SwarmCheckEnabled", False, LOW),
        "the node compares its version with those of strangers",
    ),
    exactly(
        *("gateway", "Addresses.Gateway", "", HIGH),
        "whoever reaches the gateway reads every block without a password",
        none_too=True,
    ),
    Rule(
        *("rpc-address", "Addresses.API", HIGH),
        "whoever reaches the RPC commands the node: it listens beyond loopback without users",
        "listen on 127.0.0.1, or name users in API.Authorizations",
        _api_local,
        lambda config: put_at(config, "Addresses.API", _API),
    ),
    Rule(
        *("rpc-paths", "API.Authorizations", MEDIUM),
        "a user of the RPC may call everything, the key's export included",
        "name the paths that the user needs in AllowedPaths",
        _api_paths,
        None,
    ),
    Rule(
        *("rpc-secrets", "API.Authorizations", HIGH),
        f"the secret of a user of the RPC is short of {_SECRET_LENGTH} characters",
        "choose a random one, basic:NAME:SECRET or bearer:SECRET",
        _api_secrets,
        None,
    ),
    Rule(
        *("rpc-origins", "API.HTTPHeaders", HIGH),
        "any page in a browser on this machine may command the node",
        "remove Access-Control-Allow-Origin: *",
        _no_foreign_pages,
        _drop_headers,
    ),
    exactly(
        *("rpc-streams", "Experimental.Libp2pStreamMounting", False, MEDIUM),
        "members may be given a way to any port of this machine",
        none_too=True,
    ),
    exactly(
        *("rpc-proxy", "Experimental.P2pHttpProxy", False, MEDIUM),
        "HTTP is carried between members' machines",
        none_too=True,
    ),
    Rule(
        *("filters", "Swarm.AddrFilters", MEDIUM),
        "addresses of a hospital's own network are never dialled (profile `server`)",
        "remove private ranges",
        _reaches_lan("Swarm.AddrFilters"),
        _drop_private("Swarm.AddrFilters"),
    ),
    Rule(
        *("announced", "Addresses.NoAnnounce", MEDIUM),
        "members never hear of an address in a hospital's own network (profile `server`)",
        "remove private ranges",
        _reaches_lan("Addresses.NoAnnounce"),
        _drop_private("Addresses.NoAnnounce"),
    ),
    Rule(
        *("peers", "Peering.Peers", LOW),
        "without a DHT the node finds nobody by itself",
        "name the other members, see `consilium swarm invite`",
        _has_peers,
        None,
    ),
    Rule(
        *("sync", "Datastore.Spec", MEDIUM),
        "a block is acknowledged before it is on the disk: a loss of power loses it",
        "set sync to true for flatfs",
        _blocks_synced,
        _sync,
    ),
    Rule(
        *("import", "Import", LOW),
        "the same bytes get another CID than at other members",
        "apply the profile unixfs-v1-2025",
        _same_cids,
        _set_profile,
    ),
)
