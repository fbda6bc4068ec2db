"""Finds settings of an IPFS node or cluster peer that leak or fail under a swarm key; mends them.

A rule is a row of data: which setting, how bad, why, what to do, when it holds and how it is
mended. `storage.hardening_kubo` and `storage.hardening_cluster` hold the rows,
`storage.hardening_files` reads and writes what they judge.
"""

import copy
import ipaddress
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Config = dict[str, Any]


class Severity(StrEnum):
    """`high`: strangers get in or hear of it. `medium`: a copy or a secret is at risk.

    `low`: nothing is at risk, it does not work as members expect.
    """

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Rule:
    """One setting. `mend` changes a configuration in place so that `holds`; None: a person must."""

    name: str
    setting: str
    severity: Severity
    reason: str
    fix: str
    holds: Callable[[Config], bool]
    mend: Callable[[Config], None] | None


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that does not hold, and where. It repeats no value: one might be a secret."""

    where: str
    rule: str
    setting: str
    severity: Severity
    reason: str
    fix: str
    mendable: bool


def findings(rules: Iterable[Rule], config: Mapping[str, Any], where: str) -> list[Finding]:
    """Every rule that the configuration breaks, in the rules' order.

    A setting of a wrong type counts as broken: what it does is the engine's guess.
    """
    return [
        Finding(
            where,
            rule.name,
            rule.setting,
            rule.severity,
            rule.reason,
            rule.fix,
            rule.mend is not None,
        )
        for rule in rules
        if not _holds(rule, dict(config))
    ]


def mended(rules: Sequence[Rule], config: Mapping[str, Any]) -> Config:
    """A copy in which every rule holds that can be mended without asking a person."""
    found = copy.deepcopy(dict(config))
    for rule in rules:
        if rule.mend is not None and not _holds(rule, found):
            rule.mend(found)
    return found


def _holds(rule: Rule, config: Config) -> bool:
    try:
        return rule.holds(config)
    except (AttributeError, KeyError, TypeError, ValueError):
        return False


def value_at(config: Mapping[str, Any], path: str) -> Any:
    """What stands at `A.B.C`; None where something on the way is missing."""
    value: Any = config
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def put_at(config: Config, path: str, value: Any) -> None:
    """Write at `A.B.C`, making maps on the way, also in place of what is none."""
    *way, last = path.split(".")
    for name in way:
        if not isinstance(config.get(name), dict):
            config[name] = {}
        config = config[name]
    config[last] = value


def exactly(
    name: str,
    setting: str,
    wanted: Any,
    severity: Severity,
    reason: str,
    *,
    none_too: bool = False,
) -> Rule:
    """A rule that wants one value; with `none_too` also the absence of any."""

    def holds(config: Config) -> bool:
        found = value_at(config, setting)
        return (none_too and not found) or (type(found) is type(wanted) and found == wanted)

    def mend(config: Config) -> None:
        put_at(config, setting, copy.deepcopy(wanted))

    fix = f"set it to {json.dumps(wanted)}"
    return Rule(name, setting, severity, reason, fix, holds, mend)


def as_list(value: Any) -> list[str]:
    """One address or several, as both engines write them. Raises TypeError for neither."""
    found = [value] if isinstance(value, str) else value
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise TypeError("neither an address nor a list of them")
    return found


def texts_in(value: Any) -> list[str]:
    """As `as_list`, of anything: what is no text is left out."""
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str)]


def is_local(address: str) -> bool:
    """Whether a multiaddress is a loopback address or a socket file. Raises ValueError."""
    parts = address.split("/")
    if len(parts) < 3 or parts[0]:
        raise ValueError("no multiaddress")
    if parts[1] in ("ip4", "ip6"):
        return ipaddress.ip_address(parts[2]).is_loopback
    return parts[1] == "unix" or parts[1:3] in (["dns4", "localhost"], ["dns", "localhost"])


def is_tcp(address: str) -> bool:
    """Whether libp2p listens there by TCP alone: what a swarm key covers."""
    parts = address.split("/")
    return "tcp" in parts and not {"udp", "quic", "quic-v1", "ws", "wss", "webtransport"} & {*parts}
