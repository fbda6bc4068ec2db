"""Runs services of docker-compose.yml without Docker: in namespaces of Linux, on real engines.

A container is what Docker would make of the service, as far as a test can tell: its own network
with the names that it would resolve, its own root with only what the service mounts, read-only
where the service says so, the user that it names, no capability, no new privileges. What an image
would bring is bound from this machine. Not imitated: limits of memory and processes, seccomp,
published ports, restarts. Root is needed.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from storage import toolchain
from tests.tooling.dockerfile import stages
from tests.tooling.kit import ROOT, load

SYSTEM = ("bin", "etc", "lib", "lib32", "lib64", "sbin", "usr")
PATH = "/image/bin:/usr/local/bin:/usr/bin:/bin"
Model = Mapping[str, Any]


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
    python = Path(sys.base_prefix)
    final = stages()[-1]
    copied = {place: ROOT / source for copy in final.copies() for source, place in copy.places()}
    environment = dict(word.split("=", 1) for text in final.of("ENV") for word in text.split())
    # The virtual environment is this machine's, which holds absolute paths.
    environment |= {"PATH": f"{ROOT}/.venv/bin:{PATH}", "PYTHONPATH": "/app"}
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
        "consilium": Image(
            entrypoint=(),
            environment=environment,
            folder="/app",
            health=tuple(json.loads(final.of("HEALTHCHECK")[0].partition("CMD ")[2])),
            brings={**copied, str(ROOT / ".venv"): ROOT / ".venv", str(python): python},
        ),
    }


class Machine:
    """The networks of a compose file, and processes in its containers; a context manager.

    When this process ends, however it ends, the kernel ends all that runs in here.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.images = images()
        self.folder = Path(tempfile.mkdtemp(prefix="containers-"))
        self.folder.chmod(0o755)
        self.addresses = _addresses(model)
        self._started: list[subprocess.Popen[bytes]] = []
        # A namespace lives as long as a process in it, and its processes as long as its first.
        self._holder = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL"),
                *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL"),
                *("sh", "-c", "mount -t proc proc /proc && echo ready && exec sleep infinity"),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n"
        self._root(*_network_script(self.addresses))

    def start(self, service: str, command: Sequence[str] | None = None) -> Running:
        """The service's own command, or another one in such a container, in the background."""
        log = (self.folder / f"{service}-{time.monotonic_ns()}.log").open("w+b")
        return Running(self._popen(service, command, log), Path(log.name))

    def stop(self, running: Running, timeout_s: float = 90) -> int:
        """End a process as Docker does, with SIGTERM; its exit status."""
        self._root(f"kill -TERM {running.pid.read_text().strip()}")
        return running.process.wait(timeout_s)

    def run(
        self, service: str, command: Sequence[str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The same, until it ends."""
        running = self.start(service, command)
        code = running.process.wait(240)
        return subprocess.CompletedProcess(command or [], code, running.said())

    def healthy(self, service: str) -> bool:
        """Whether the service's health check succeeds."""
        model = self.model["services"][service]
        check = model.get("healthcheck", {}).get("test") or ["CMD", *self._image(service).health]
        assert check[0] == "CMD"
        return self.run(service, check[1:]).returncode == 0

    def await_healthy(self, service: str, running: Running, timeout_s: float = 120) -> None:
        """Wait until it does; a process that ended fails at once, with what it said."""
        eventually(lambda: running.alive() and self.healthy(service), timeout_s, running.said)

    def close(self) -> None:
        """End everything."""
        self._holder.kill()
        for process in (self._holder, *self._started):
            process.wait()
        assert self._holder.stdout is not None
        self._holder.stdout.close()
        shutil.rmtree(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _image(self, service: str) -> Image:
        return self.images[self.model["services"][service]["image"].partition(":")[0]]

    def _inside(self) -> list[str]:
        here = f"/proc/{self._holder.pid}/ns"
        spaces = [f"--net={here}/net", f"--mount={here}/mnt", f"--pid={here}/pid_for_children"]
        return ["setpriv", "--pdeathsig", "KILL", "nsenter", *spaces]

    def _root(self, *lines: str) -> None:
        command = [*self._inside(), "sh", "-euc", "\n".join(lines)]
        subprocess.run(command, check=True, capture_output=True, text=True)

    def _popen(
        self, service: str, command: Sequence[str] | None, log: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        model = self.model["services"][service]
        image = self._image(service)
        space = _space(self.model, service)
        hosts = self.folder / f"hosts-{space}"
        hosts.write_text(_hosts(self.addresses, space))
        root = Path(tempfile.mkdtemp(prefix=f"{service}-", dir=self.folder))
        script = [
            f"echo $$ > {log.name}.pid",
            *_root_script(root, image, model, hosts),
            *_mount_script(root, model, self.model["secrets"]),
            *([f"mount -o remount,ro {root}"] if model.get("read_only") else []),
            f"exec chroot {root} {shlex.join(_start(model, image, command))}",
        ]
        process = subprocess.Popen(
            [*self._inside(), "ip", "netns", "exec", space, "sh", "-euc", "\n".join(script)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        log.close()
        self._started.append(process)
        return process


class Running:
    """A process in a container, and what it says."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.pid = log.with_name(f"{log.name}.pid")
        """Holds its number in the machine, for it is the child of `process`."""
        self._log = log

    def alive(self) -> bool:
        """Whether it has not ended."""
        assert self.process.poll() is None, self.said()
        return True

    def said(self) -> str:
        """Its output."""
        return self._log.read_text("utf-8", "replace")


def eventually(holds: Callable[[], bool], timeout_s: float, said: Callable[[], str]) -> None:
    """Wait until it holds; fail with what was said."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, said()
        time.sleep(0.2)


def _space(model: Model, service: str) -> str:
    """The service whose network it has."""
    mode = str(model["services"][service].get("network_mode", ""))
    return mode.removeprefix("service:") or service


def _addresses(model: Model) -> dict[str, dict[str, tuple[str, list[str]]]]:
    """Of each network, its members: their address, and the names under which they are known."""
    found: dict[str, dict[str, tuple[str, list[str]]]] = {}
    for number, network in enumerate(sorted(model["networks"])):
        members: dict[str, tuple[str, list[str]]] = {}
        for service, content in model["services"].items():
            if network in content.get("networks", {}):
                names = [service, *((content["networks"][network] or {}).get("aliases", ()))]
                members[service] = (f"10.77.{number}.{len(members) + 2}", names)
        found[network] = members
    return found


def _hosts(addresses: Mapping[str, Mapping[str, tuple[str, list[str]]]], service: str) -> str:
    """What the service resolves: those with whom it shares a network."""
    lines = ["127.0.0.1 localhost"]
    for members in addresses.values():
        if service in members:
            lines += [f"{address} {' '.join(names)}" for address, names in members.values()]
    return "\n".join(lines) + "\n"


def _network_script(addresses: Mapping[str, Mapping[str, tuple[str, list[str]]]]) -> list[str]:
    """A bridge for each network, and for each member one more interface into it."""
    lines = ["mount -t tmpfs tmpfs /run", "ip link set lo up"]
    for service in sorted({name for members in addresses.values() for name in members}):
        lines += [f"ip netns add {service}", f"ip -n {service} link set lo up"]
    for number, (network, members) in enumerate(addresses.items()):
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


def _root_script(root: Path, image: Image, model: Model, hosts: Path) -> list[str]:
    """A root of its own with the system's folders, what the image brings, and what Docker adds."""
    lines = [f"mount -t tmpfs -o mode=755 tmpfs {root}"]
    for name in SYSTEM:
        lines += _bound(Path("/", name), root / name) if Path("/", name).exists() else []
    for place in ("proc", "sys", "dev", "run", "data/ipfs"):
        lines.append(f"mkdir -p {root}/{place}")
    lines += [f"mount -t proc proc {root}/proc", f"mount --rbind /dev {root}/dev"]
    lines += _bound(hosts, root / "etc" / "hosts", make=False)
    lines.append(f"mkdir -p {root}/tmp")
    for mount in model.get("tmpfs", ()):
        place, _, options = mount.partition(":")
        lines += [f"mkdir -p {root}{place}", f"mount -t tmpfs -o {options} tmpfs {root}{place}"]
    for place, source in image.brings.items():
        lines += _bound(source, root / place.lstrip("/"))
    return lines


def _mount_script(root: Path, model: Model, secrets: Model) -> list[str]:
    lines: list[str] = []
    for volume in model.get("volumes", ()):
        assert volume["type"] == "bind"
        source, target = Path(volume["source"]), root / volume["target"].lstrip("/")
        assert source.exists(), f"{source} is mounted and does not exist"
        lines += [f"mkdir -p {target}", f"mount --bind {source} {target}"]
    for secret in model.get("secrets", ()):
        target = root / secret["target"].lstrip("/")
        lines += _bound(Path(secrets[secret["source"]]["file"]), target)
    return lines


def _bound(source: Path, target: Path, make: bool = True) -> list[str]:
    lines = []
    if make and source.is_dir():
        lines.append(f"mkdir -p {target}")
    elif make:
        lines += [f"mkdir -p {target.parent}", f"[ -e {target} ] || : > {target}"]
    return [*lines, f"mount --bind {source} {target}", f"mount -o remount,bind,ro {target}"]


def _start(model: Model, image: Image, command: Sequence[str] | None) -> list[str]:
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


def loaded(folder: Path) -> dict[str, Any]:
    """The compose file of a folder as Compose's own loader understands it, for user 1000."""
    engines = load(ROOT / "tools" / "engines.py")
    done = subprocess.run(
        [engines.built(engines.COMPOSE), "--format", "json", "docker-compose.yml"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
