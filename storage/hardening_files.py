"""Judges an engine's folder, or a running engine; writes what can be mended.

A folder is IPFS_PATH with Kubo's `config`, or the one with a cluster peer's `service.json`.
"""

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from storage.errors import BadConfiguration, Unreachable
from storage.files import write_durably
from storage.hardening import Config, Finding, Rule, Severity, findings, mended
from storage.hardening_cluster import CLUSTER_RULES
from storage.hardening_kubo import KUBO_RULES
from storage.kubo_config import ENVIRONMENT
from storage.kubo_rpc import KuboRpc

_KUBO, _CLUSTER = "config", "service.json"
_SECRET_FILES = {_KUBO: (_KUBO, "swarm.key"), _CLUSTER: (_CLUSTER, "identity.json")}
_ASK_S = 10.0
_WHY = {
    "LIBP2P_FORCE_PNET": (Severity.HIGH, "where the swarm key is lost the node starts open"),
    "IPFS_TELEMETRY": (Severity.LOW, "figures about the node may be sent to its makers"),
}


def check_folder(folder: Path, environment: Mapping[str, str]) -> list[Finding]:
    """All that is wrong in the folder of an engine that is started with that environment.

    Raises BadConfiguration.
    """
    name, rules = _kind(folder)
    found = findings(rules, _read(folder / name), str(folder / name))
    found += _modes(folder, name)
    if name == _KUBO:
        found += _swarm_key(folder / "swarm.key") + _environment(environment)
    return found


def mend_folder(folder: Path) -> None:
    """Write the configuration that `mended` gives, and make secrets the owner's alone.

    Nothing is written where nothing is to be mended. Raises BadConfiguration.
    """
    name, rules = _kind(folder)
    before = _read(folder / name)
    after = mended(rules, before)
    try:
        for secret in _SECRET_FILES[name]:
            if (folder / secret).is_file():
                (folder / secret).chmod(0o600)
        if after != before:
            beside = folder / f".{name}.{secrets.token_hex(8)}"
            write_durably(beside, json.dumps(after, indent=2).encode(), 0o600)
            beside.replace(folder / name)
    except OSError as exc:
        raise BadConfiguration(
            f"{folder} cannot be mended ({exc.strerror}): run it as the owner of the files"
        ) from exc


def check_kubo(url: str) -> list[Finding]:
    """A running node's settings, over its RPC `http://host:port`. Raises Unreachable.

    Its environment and the modes of its files cannot be seen from there.
    """
    rpc = KuboRpc(url, timeout_s=_ASK_S)
    try:
        config = rpc.call("config/show", {})
    finally:
        rpc.close()
    if not isinstance(config, dict) or "Identity" not in config:
        raise Unreachable(f"what answers at {url} is no RPC of Kubo: correct the address")
    return findings(KUBO_RULES, config, url)


def check_cluster(url: str) -> list[Finding]:
    """Whether a running peer's REST API answers those who name no user. Raises Unreachable.

    A peer does not tell its settings: its folder does.
    """
    try:
        answer = httpx.get(f"{url.rstrip('/')}/id", timeout=_ASK_S, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise Unreachable(
            f"no cluster peer answers at {url} ({type(exc).__name__}): start it, or correct the "
            "address, which is that of its REST API"
        ) from exc
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return []
    rule = next(rule for rule in CLUSTER_RULES if rule.name == "rest-users")
    return findings([rule], {"api": {"restapi": {}}}, url)


def read_environment(file: Path) -> dict[str, str]:
    """KEY=VALUE lines, as systemd and Compose read them. Raises BadConfiguration."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise BadConfiguration(f"{file} cannot be read: correct the path") from exc
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, found, value in pairs if found}


def mend_environment(file: Path) -> None:
    """Add what is missing to the file of KEY=VALUE lines. Raises BadConfiguration."""
    found = read_environment(file)
    wrong = {key for key, value in ENVIRONMENT.items() if found.get(key) != value}
    lines = file.read_text("utf-8").splitlines()
    kept = [line for line in lines if line.partition("=")[0].strip() not in wrong]
    added = [f"{key}={ENVIRONMENT[key]}" for key in sorted(wrong)]
    try:
        file.write_text("\n".join([*kept, *added]) + "\n", "utf-8")
    except OSError as exc:
        raise BadConfiguration(f"{file} cannot be written: run it as its owner") from exc


def _kind(folder: Path) -> tuple[str, Sequence[Rule]]:
    if (folder / _CLUSTER).is_file():
        return _CLUSTER, CLUSTER_RULES
    if (folder / _KUBO).is_file():
        return _KUBO, KUBO_RULES
    raise BadConfiguration(
        f"neither Kubo's {_KUBO} nor a cluster peer's {_CLUSTER} is in {folder}: name IPFS_PATH, "
        "or IPFS_CLUSTER_PATH"
    )


def _read(file: Path) -> Config:
    try:
        found: Any = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as exc:
        raise BadConfiguration(f"{file} cannot be read, or is no JSON: restore it") from exc
    if not isinstance(found, dict):
        raise BadConfiguration(f"{file} holds no settings: restore it")
    return found


def _modes(folder: Path, name: str) -> list[Finding]:
    exposed = [
        folder / secret
        for secret in _SECRET_FILES[name]
        if (folder / secret).is_file() and (folder / secret).stat().st_mode & 0o077
    ]
    reason = "other accounts of this machine may read the secrets in it"
    fix, high = "chmod 600", Severity.HIGH
    return [Finding(str(file), "mode", "mode", high, reason, fix, True) for file in exposed]


def _swarm_key(file: Path) -> list[Finding]:
    try:
        text = file.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        text = ""
    lines = text.split()
    form = lines[:2] == ["/key/swarm/psk/1.0.0/", "/base16/"] and len(lines) == 3
    if form and re.fullmatch(r"[0-9a-f]{64}", lines[2]) and len(set(lines[2])) > 1:
        return []
    reason = "without the swarm's key the node belongs to the public network"
    fix = "put the swarm's own there, mode 600; see `consilium swarm join`"
    return [Finding(str(file), "swarm-key", "swarm.key", Severity.HIGH, reason, fix, False)]


def _environment(environment: Mapping[str, str]) -> list[Finding]:
    return [
        Finding(
            "environment",
            key.lower().replace("_", "-"),
            key,
            *_WHY[key],
            f"start the node with {key}={value}; name the file that says so with --env",
            False,
        )
        for key, value in ENVIRONMENT.items()
        if environment.get(key) != value
    ]
