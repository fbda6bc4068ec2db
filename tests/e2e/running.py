"""Runs `consilium` for tests: as processes of its own that stay, or in forks for single steps."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e import run_consilium

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PASSPHRASE_VARIABLE = "CONSILIUM_PASSPHRASE"
PASSPHRASE = "a passphrase of this test"
START_S = 600
END_S = 300


@dataclass(frozen=True, slots=True)
class Done:
    """What one command left."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Runner:
    """One folder with homes; each command sees of others only the node's address and the store."""

    folder: Path
    zygote: Path
    variables: dict[str, str] = field(default_factory=dict)
    opened: Path | None = None
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def __call__(self, home: str, *arguments: str, **changes: str) -> Done:
        """Run one command with a home, in a process of its own; never raises."""
        argv = ["--home", str(self.folder / home), *arguments] if home else list(arguments)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            null = os.open(os.devnull, os.O_RDONLY)
            code = run_consilium.run(
                argv,
                self.environment(home, **changes),
                str(self.folder),
                [null, out.fileno(), err.fileno()],
            )
            os.close(null)
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode())
        return Done(code, *texts)

    def ok(self, home: str, *arguments: str, **changes: str) -> str:
        """Run one command that must succeed; what it printed."""
        done = self(home, *arguments, **changes)
        assert done.code == 0, f"consilium {' '.join(arguments)}: {done.code}\n{done.out}{done.err}"
        return done.out

    def start(self, home: str, *arguments: str) -> subprocess.Popen[str]:
        """Start the public command as a real process; `stop` ends it."""
        log = (self.folder / f"{home.replace('/', '-')}-{arguments[0]}.log").open("w")
        process = subprocess.Popen(
            [sys.executable, "-m", "api.cli.main", "--home", str(self.folder / home), *arguments],
            env=self.environment(home),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
        log.close()
        self.running.append(process)
        return process

    def log(self, home: str, command: str) -> str:
        """What a started command printed so far."""
        return (self.folder / f"{home}-{command}.log").read_text("utf-8")

    def environment(self, home: str, **changes: str) -> dict[str, str]:
        """The environment of a command; files that it opens are written down by home."""
        paths = [str(ROOT)]
        found = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            PASSPHRASE_VARIABLE: PASSPHRASE,
            "CONSILIUM_LIGHT_KDF": "1",  # half a second for each command otherwise
            "OMP_NUM_THREADS": "1",
            "ZYGOTE": str(self.zygote),
        }
        if self.opened is not None and home:
            found["OPENED_FILES"] = str(self.opened / f"{home.replace('/', '-')}.txt")
            paths.insert(0, str(HERE / "opened"))
        return found | {"PYTHONPATH": os.pathsep.join(paths)} | self.variables | changes

    def start_chain(self) -> str:
        """`consilium chain start`; the node's address, which every later command sees."""
        self.start("chain", "chain", "start")
        log = self.folder / "chain-chain.log"
        end = time.monotonic() + START_S
        while "\n" not in (text := log.read_text("utf-8")):
            assert self.running[-1].poll() is None, text
            assert time.monotonic() < end, "anvil did not start"
            time.sleep(0.05)
        self.variables["CONSILIUM_RPC"] = text.splitlines()[0]
        return self.variables["CONSILIUM_RPC"]

    def stop(self) -> None:
        """End what is still running."""
        for process in reversed(self.running):
            process.terminate()
        for process in self.running:
            process.wait(END_S)


@contextmanager
def runner(folder: Path, *, opened: Path | None = None) -> Iterator[Runner]:
    """A runner with its zygote; nothing is left running."""
    with tempfile.TemporaryDirectory(prefix="zygote-") as place:  # paths of sockets are short
        socket = Path(place) / "socket"
        environment = dict(os.environ) | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        zygote = subprocess.Popen(
            [sys.executable, str(HERE / "zygote.py"), str(socket)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,  # its forks end with it, see below
            text=True,
        )
        assert zygote.stdout is not None
        found = Runner(folder, socket, opened=opened)
        try:
            assert zygote.stdout.readline() == "ready\n"
            yield found
        finally:
            found.stop()
            os.killpg(zygote.pid, signal.SIGTERM)
            zygote.wait(END_S)
            zygote.stdout.close()


def edit_json(path: Path, changes: Mapping[str, Any]) -> None:
    """Set keys of a JSON file; a dotted key reaches into an object."""
    tree = json.loads(path.read_text("utf-8"))
    for key, value in changes.items():
        *above, last = key.split(".")
        place = tree
        for name in above:
            place = place[name]
        place[last] = value
    path.write_text(json.dumps(tree), "utf-8")


def at_once(step: Callable[[str], object], names: Iterable[str]) -> None:
    """Take a step for each name, several at a time; raises what the first that fails raises."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(step, names))


def make_members(run: Runner, hospitals: list[str], others: list[str]) -> None:
    """An operator deploys; every other home is made, admitted, funded and registered."""
    run.ok(
        "operator",
        *("participant", "init", "--role", "operator", "--name", "operator", "--store", "store"),
    )
    run.ok("operator", "participant", "fund")
    run.ok("operator", "chain", "deploy", "--token", "--out", "deployment.json")

    def init(name: str) -> None:
        role = "hospital" if name in hospitals else name
        run.ok(
            name,
            *("participant", "init", "--role", role, "--name", name, "--store", "store"),
            *("--deployment", "deployment.json"),
            *(("--relayer", "relayer/participant.json") if role == "hospital" else ()),
        )

    at_once(init, others)
    at_once(init, hospitals)
    members = [name for name in [*others, *hospitals] if name != "relayer"]
    cards = [f"{name}/participant.json" for name in members]
    run.ok("operator", "participant", "admit", *cards)
    everyone = [f"{name}/participant.json" for name in [*others, *hospitals]]
    run.ok("operator", "participant", "fund", *everyone, "--tokens", "1000")
    at_once(lambda name: run.ok(name, "participant", "register"), members)


def make_patient(run: Runner, home: str) -> None:
    """A patient's home, whose relayer is the one of the test."""
    run.ok(
        home,
        *("participant", "init", "--role", "patient", "--name", home, "--store", "store"),
        *("--deployment", "deployment.json", "--relayer", "relayer/participant.json"),
    )
