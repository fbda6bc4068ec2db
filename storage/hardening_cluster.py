"""What the configuration of an IPFS Cluster peer must say, a rule each.

https://ipfscluster.io/documentation/reference/configuration/. Absent settings are judged by what
1.1.6 does without them.
"""

import re
import secrets
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

HIGH, MEDIUM, LOW = Severity
_MIN, _MAX = 2, 3
_KUBO = "/ip4/127.0.0.1/tcp/5001"
_REST = "/ip4/127.0.0.1/tcp/9094"
_LISTEN = "/ip4/0.0.0.0/tcp/9096"
_TRUSTED = "consensus.crdt.trusted_peers"


def _names_whom_it_trusts(config: Config) -> bool:
    """An empty list is well: the peer then trusts nobody but itself."""
    trusted = value_at(config, _TRUSTED)
    return isinstance(trusted, list) and "*" not in as_list(trusted)


def _trust_members(config: Config) -> None:
    """Those whose addresses it knows."""
    addresses = texts_in(value_at(config, "cluster.peer_addresses"))
    members = {item.rpartition("/p2p/")[2] for item in addresses if "/p2p/" in item}
    kept = set(texts_in(value_at(config, _TRUSTED))) - {"*"}
    put_at(config, _TRUSTED, sorted(members | kept))


def _knows_members(config: Config) -> bool:
    return bool(as_list(value_at(config, "cluster.peer_addresses")))


def _has_secret(config: Config) -> bool:
    found = value_at(config, "cluster.secret")
    return bool(re.fullmatch(r"[0-9a-f]{64}", found)) and len(set(found)) > 1


def _copies(config: Config) -> bool:
    least = value_at(config, "cluster.replication_factor_min")
    most = value_at(config, "cluster.replication_factor_max")
    return type(least) is type(most) is int and _MIN <= least <= most


def _count_copies(config: Config) -> None:
    put_at(config, "cluster.replication_factor_min", _MIN)
    put_at(config, "cluster.replication_factor_max", _MAX)


def _listens_by_tcp(config: Config) -> bool:
    found = as_list(value_at(config, "cluster.listen_multiaddress"))
    return bool(found) and all(map(is_tcp, found))


def _listen_by_tcp(config: Config) -> None:
    found = texts_in(value_at(config, "cluster.listen_multiaddress"))
    kept = [item for item in found if is_tcp(item)]
    put_at(config, "cluster.listen_multiaddress", kept or [_LISTEN])


def _rest(config: Config) -> Any:
    return value_at(config, "api.restapi")


def _rest_local(config: Config) -> bool:
    rest = _rest(config)
    if rest is None:
        return True
    covered = bool(rest.get("ssl_cert_file")) and bool(rest.get("ssl_key_file"))
    return covered or all(map(is_local, as_list(rest.get("http_listen_multiaddress"))))


def _rest_has_users(config: Config) -> bool:
    rest = _rest(config)
    users = rest.get("basic_auth_credentials") if rest is not None else {"none": "listens" * 3}
    return bool(users) and all(len(str(word)) >= 16 for word in users.values())


def _give_rest_users(config: Config) -> None:
    users = {"consilium": secrets.token_urlsafe(24)}
    put_at(config, "api.restapi.basic_auth_credentials", users)


def _rest_refuses_pages(config: Config) -> bool:
    rest = _rest(config)
    return rest is None or not as_list(rest.get("cors_allowed_origins"))


def _api_without(name: str) -> Rule:
    def mend(config: Config) -> None:
        del config["api"][name]

    return Rule(
        name,
        f"api.{name}",
        HIGH,
        "a second door to what is pinned, by default without a password",
        "remove the section",
        lambda config: name not in (config.get("api") or {}),
        mend,
    )


def _kubo_local(config: Config) -> bool:
    found = as_list(value_at(config, "ipfs_connector.ipfshttp.node_multiaddress"))
    return all(map(is_local, found))


def _metrics_local(config: Config) -> bool:
    metrics = value_at(config, "observations.metrics") or {}
    endpoint = as_list(metrics.get("prometheus_endpoint"))
    return metrics.get("enable_stats") in (None, False) or all(map(is_local, endpoint))


CLUSTER_RULES = (
    Rule(
        *("trusted-peers", _TRUSTED, HIGH),
        "whoever has the secret may pin, unpin and add: * trusts everybody",
        "name the members' peer ids",
        _names_whom_it_trusts,
        _trust_members,
    ),
    exactly(
        *("pin-on-trusted", "cluster.pin_only_on_trusted_peers", True, MEDIUM),
        "copies are counted that lie at a peer whom nobody trusts",
    ),
    Rule(
        *("secret", "cluster.secret", HIGH),
        "without a secret of 32 random bytes anybody joins",
        "put the swarm's own there: 64 hexadecimal characters, alike at all members",
        _has_secret,
        None,
    ),
    Rule(
        *("members", "cluster.peer_addresses", LOW),
        "without the others' addresses the peer finds nobody by itself",
        "name the other members",
        _knows_members,
        None,
    ),
    Rule(
        *("copies", "cluster.replication_factor_min, _max", MEDIUM),
        "-1 copies everything everywhere and calls it pinned with fewer copies than wanted",
        f"set them to {_MIN} and {_MAX}",
        _copies,
        _count_copies,
    ),
    exactly(
        *("repinning", "cluster.disable_repinning", False, MEDIUM),
        "what a lost peer held is not copied to another one",
    ),
    Rule(
        *("listen", "cluster.listen_multiaddress", HIGH),
        "the peer listens by a transport that the secret does not cover, or nowhere",
        "keep addresses of the form /ip4/…/tcp/PORT",
        _listens_by_tcp,
        _listen_by_tcp,
    ),
    exactly(
        *("mdns", "cluster.mdns_interval", "0s", MEDIUM),
        "the peer tells everyone in the local network that it is there",
    ),
    exactly(
        *("relay", "cluster.enable_relay_hop", False, MEDIUM),
        "the peer carries the traffic of others",
    ),
    Rule(
        *("rest-address", "api.restapi.http_listen_multiaddress", HIGH),
        "the password travels in clear: the REST API listens beyond loopback without TLS",
        "listen on 127.0.0.1, or give it a certificate",
        _rest_local,
        lambda config: put_at(config, "api.restapi.http_listen_multiaddress", _REST),
    ),
    Rule(
        *("rest-users", "api.restapi.basic_auth_credentials", HIGH),
        "whoever reaches the REST API decides what is pinned: no user, or a short password",
        "name a user with 16 characters or more",
        _rest_has_users,
        _give_rest_users,
    ),
    Rule(
        *("rest-origins", "api.restapi.cors_allowed_origins", HIGH),
        "pages in a browser on this machine may command the peer",
        "allow no origin",
        _rest_refuses_pages,
        lambda config: put_at(config, "api.restapi.cors_allowed_origins", []),
    ),
    _api_without("ipfsproxy"),
    _api_without("pinsvcapi"),
    Rule(
        *("kubo", "ipfs_connector.ipfshttp.node_multiaddress", HIGH),
        "the peer has no password towards Kubo: its RPC must be on this machine alone",
        "bind Kubo's RPC to 127.0.0.1 and name that",
        _kubo_local,
        lambda config: put_at(config, "ipfs_connector.ipfshttp.node_multiaddress", _KUBO),
    ),
    Rule(
        *("metrics", "observations.metrics", MEDIUM),
        "figures of the peer are open to whoever reaches the port",
        "serve them on 127.0.0.1",
        _metrics_local,
        lambda config: put_at(config, "observations.metrics.enable_stats", False),
    ),
)
