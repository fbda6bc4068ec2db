"""What a container is made of: shell lines that give a process its network, root and user."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage import toolchain
from tests.tooling.dockerfile import stages
from tests.tooling.kit import ROOT, load

SYSTEM = ("bin", "etc", "lib", "lib32", "lib64", "sbin", "usr")
PATH = "/image/bin:/usr/local/bin:/usr/bin:/bin"
Model = Mapping[str, Any]
Networks = Mapping[str, Mapping[str, tuple[str, list[str]]]]
"""Of each network its members, of each member its address, and the names that it has there."""


@dataclass(frozen=True)
class Image:
    """What an image brings, its files by their place; `health` is its own check."""

    entrypoint: tuple[str, ...]
    environment: Mapping[str, str]
    folder: str
    brings: Mapping[str, Path]
    health: tuple[str, ...] = ()


def images() -> dict[str, Image]:
    """The images of docker-compose.yml, out of what is installed here."""
    engines = load(ROOT / "tools" / "engines.py")
    python, venv = Path(sys.base_prefix), Path(sys.prefix).resolve()
    final = stages()[-1]
    copied = {place: ROOT / source for copy in final.copies() for source, place in copy.places()}
    environment = dict(word.split("=", 1) for text in final.of("ENV") for word in text.split())
    # The virtual environment is this machine's, which holds absolute paths.
    environment |= {"PATH": f"{venv}/bin:{PATH}", "PYTHONPATH": "/app"}
    return {
        "ipfs/kubo": Image(
            entrypoint=("start_ipfs",),
            environment={"IPFS_PATH": "/data/ipfs", "PATH": PATH},
            folder="/",
            brings={
                "/image/bin/ipfs": toolchain.kubo(),
                "/image/bin/start_ipfs": engines.built(engines.KUBO_IMAGE),
                "/container-init.d": ROOT / "contracts" / "interfaces",  # holds no *.sh
            },
        ),
        "ipfs/ipfs-cluster": Image(
            entrypoint=(),
            environment={"PATH": PATH},
            folder="/",
            brings={"/image/bin/ipfs-cluster-service": toolchain.cluster()},
        ),
        "consilium": Image(
            entrypoint=(),
            environment=environment,
            folder="/app",
            health=tuple(json.loads(final.of("HEALTHCHECK")[0].partition("CMD ")[2])),
            brings={**copied, str(venv): venv, str(python): python},
        ),
    }


def network_of(model: Model, service: str) -> str:
    """The service whose network it shares; itself where it has its own."""
    mode = str(model["services"][service].get("network_mode", ""))
    return mode.removeprefix("service:") or service


def networks_of(model: Model) -> Networks:
    """The networks of a compose file, with addresses of this runner's choice."""
    found: dict[str, dict[str, tuple[str, list[str]]]] = {}
    for number, network in enumerate(sorted(model["networks"])):
        members: dict[str, tuple[str, list[str]]] = {}
        for service, content in model["services"].items():
            if network in content.get("networks", {}):
                names = [service, *((content["networks"][network] or {}).get("aliases", ()))]
                members[service] = (f"10.77.{number}.{len(members) + 2}", names)
        found[network] = members
    return found


def host_names(networks: Networks, service: str) -> str:
    """What the service resolves: those with whom it shares a network."""
    lines = ["127.0.0.1 localhost"]
    for members in networks.values():
        if service in members:
            lines += [f"{address} {' '.join(names)}" for address, names in members.values()]
    return "\n".join(lines) + "\n"


def network_script(networks: Networks) -> list[str]:
    """A bridge for each network, and for each member one more interface into it."""
    lines = ["mount -t tmpfs tmpfs /run", "ip link set lo up"]
    for service in sorted({name for members in networks.values() for name in members}):
        lines += [f"ip netns add {service}", f"ip -n {service} link set lo up"]
    for number, (network, members) in enumerate(networks.items()):
        lines += [f"ip link add b{number} type bridge", f"ip link set b{number} up"]
        for count, (service, (address, _)) in enumerate(members.items()):
            here = f"v{number}x{count}"
            lines += [
                f"ip link add {here} type veth peer name {network} netns {service}",
                f"ip link set {here} master b{number} up",
                f"ip -n {service} address add {address}/24 dev {network}",
                f"ip -n {service} link set {network} up",
            ]
    return lines


def root_script(root: Path, image: Image, model: Model, hosts: Path) -> list[str]:
    """A root of its own with the system's folders, what the image brings, and what Docker adds."""
    lines = [f"mount -t tmpfs -o mode=755 tmpfs {root}"]
    for name in SYSTEM:
        lines += bound(Path("/", name), root / name) if Path("/", name).exists() else []
    for place in ("proc", "sys", "dev", "run", "data/ipfs"):
        lines.append(f"mkdir -p {root}/{place}")
    lines += [f"mount -t proc proc {root}/proc", f"mount --rbind /dev {root}/dev"]
    lines += bound(hosts, root / "etc" / "hosts", make=False)
    lines.append(f"mkdir -p {root}/tmp")
    for mount in model.get("tmpfs", ()):
        place, _, options = mount.partition(":")
        lines += [f"mkdir -p {root}{place}", f"mount -t tmpfs -o {options} tmpfs {root}{place}"]
    for place, source in image.brings.items():
        lines += bound(source, root / place.lstrip("/"))
    return lines


def mount_script(root: Path, model: Model, secrets: Model) -> list[str]:
    """The folders and secrets that a service mounts."""
    lines: list[str] = []
    for volume in model.get("volumes", ()):
        assert volume["type"] == "bind"
        source, target = Path(volume["source"]), root / volume["target"].lstrip("/")
        assert source.exists(), f"{source} is mounted and does not exist"
        lines += [f"mkdir -p {target}", f"mount --bind {source} {target}"]
    for secret in model.get("secrets", ()):
        target = root / secret["target"].lstrip("/")
        lines += bound(Path(secrets[secret["source"]]["file"]), target)
    return lines


def bound(source: Path, target: Path, make: bool = True) -> list[str]:
    """A file or folder at another place, read-only."""
    lines = []
    if make and source.is_dir():
        lines.append(f"mkdir -p {target}")
    elif make:
        lines += [f"mkdir -p {target.parent}", f"[ -e {target} ] || : > {target}"]
    return [*lines, f"mount --bind {source} {target}", f"mount -o remount,bind,ro {target}"]


def command_line(model: Model, image: Image, command: Sequence[str] | None) -> list[str]:
    """A command, else the service's own, with the user and the rights of the service."""
    uid, _, gid = model["user"].partition(":")
    environment = {"HOME": "/", **image.environment, **model.get("environment", {})}
    drop = ["--bounding-set=-all", "--inh-caps=-all"] if model["cap_drop"] == ["ALL"] else []
    if "no-new-privileges:true" in model["security_opt"]:
        drop.append("--no-new-privs")
    return [
        *("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", *drop),
        *("env", "-i", f"--chdir={image.folder}"),
        *(f"{name}={value}" for name, value in environment.items()),
        *(command or [*model.get("entrypoint", image.entrypoint), *model["command"]]),
    ]
