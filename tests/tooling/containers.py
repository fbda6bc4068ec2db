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
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Self

from tests.tooling.container_parts import (
    Image,
    Model,
    command_line,
    host_names,
    images,
    mount_script,
    network_of,
    network_script,
    networks_of,
    root_script,
)
from tests.tooling.kit import ROOT, load

SLOW_S = 600.0
"""For what takes seconds on an idle machine: only a hang is to end."""


class Machine:
    """The networks of a compose file, and processes in its containers; a context manager.

    When this process ends, however it ends, the kernel ends all that runs in here.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.images = images()
        self.folder = Path(tempfile.mkdtemp(prefix="containers-"))
        self.folder.chmod(0o755)
        self.networks = networks_of(model)
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
        self._root(*network_script(self.networks))

    @property
    def holder_pid(self) -> int:
        """The process by which all namespaces live."""
        return self._holder.pid

    def start(self, service: str, command: Sequence[str] | None = None) -> Running:
        """The service's own command, or another one in such a container, in the background."""
        log = (self.folder / f"{service}-{time.monotonic_ns()}.log").open("w+b")
        return Running(self._popen(service, command, log), Path(log.name))

    def stop(self, running: Running, timeout_s: float = SLOW_S) -> int:
        """End a process as Docker does, with SIGTERM; its exit status."""
        self._root(f"kill -TERM {running.pid.read_text().strip()}")
        return running.process.wait(timeout_s)

    def run(
        self, service: str, command: Sequence[str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The same, until it ends."""
        running = self.start(service, command)
        code = running.process.wait(2 * SLOW_S)
        return subprocess.CompletedProcess(command or [], code, running.said())

    def healthy(self, service: str) -> bool:
        """Whether the service's health check succeeds."""
        model = self.model["services"][service]
        check = model.get("healthcheck", {}).get("test") or ["CMD", *self._image(service).health]
        assert check[0] == "CMD"
        return self.run(service, check[1:]).returncode == 0

    def await_healthy(self, service: str, running: Running, timeout_s: float = SLOW_S) -> None:
        """Wait until it does; a process that ended fails at once, with what it said."""
        eventually(lambda: running.alive() and self.healthy(service), running.said, timeout_s)

    def limit_bytes(self, service: str) -> int:
        """The memory that the service may take at most."""
        text = str(self.model["services"][service]["mem_limit"])
        return int(text[:-1]) << {"m": 20, "g": 30}[text[-1]]

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
        network = network_of(self.model, service)
        hosts = self.folder / f"hosts-{network}"
        hosts.write_text(host_names(self.networks, network))
        root = Path(tempfile.mkdtemp(prefix=f"{service}-", dir=self.folder))
        script = [
            f"echo $$ > {log.name}.pid",
            *root_script(root, image, model, hosts),
            *mount_script(root, model, self.model["secrets"]),
            *([f"mount -o remount,ro {root}"] if model.get("read_only") else []),
            f"exec chroot {root} {shlex.join(command_line(model, image, command))}",
        ]
        process = subprocess.Popen(
            [*self._inside(), "ip", "netns", "exec", network, "sh", "-euc", "\n".join(script)],
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

    def peak_bytes(self) -> int:
        """The largest resident sizes that its processes ever had, added up."""
        inside = _descendants(self.process.pid)
        status = [Path(f"/proc/{pid}/status").read_text() for pid in inside]
        return sum(int(line.split()[1]) << 10 for text in status for line in _peaks(text))

    def said(self) -> str:
        """Its output."""
        return self._log.read_text("utf-8", "replace")


def _descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [found for child in map(int, children) for found in (child, *_descendants(child))]


def _peaks(status: str) -> list[str]:
    return [line for line in status.splitlines() if line.startswith("VmHWM:")]


def eventually(
    holds: Callable[[], bool], said: Callable[[], str], timeout_s: float = SLOW_S
) -> None:
    """Wait until it holds; fail with what was said."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, said()
        time.sleep(0.2)


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
