"""Bring Kaia, the engine of several validators that `make test-bft` runs: built from its Go module.

It is for tests alone: an EVM chain with real consensus (Istanbul BFT) that a plain machine can
build. What is built lies beside the other engines, keyed by version.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

# Python puts a program's folder there by itself, but not under PYTHONSAFEPATH.
sys.path.insert(0, str(Path(__file__).resolve().parent))
import engines
import workbench
from workbench import ToolError

MODULE = "github.com/kaiachain/kaia"
VERSION = "1.0.3"
PROGRAMS = ("kcn", "homi")
MIN_FREE_GB = 4
# The module's own blst and its check of linknames do not build with Go of today.
REPLACED = "github.com/supranational/blst@v0.3.14"
FLAGS = ("-mod=mod", "-trimpath", "-ldflags=-s -w -checklinkname=0")
OTHERWISE = "do without: only `make test-bft` needs it"

say = partial(workbench.say, "kaia")


def folder() -> Path:
    """Where the programs lie once they are built."""
    return engines.cache() / f"kaia-{VERSION}"


def is_built() -> bool:
    """Whether every program is there."""
    return all((folder() / name).is_file() for name in PROGRAMS)


def works(program: Path) -> bool:
    """Whether a program answers that it is of the pinned version."""
    done = subprocess.run([program, "version"], capture_output=True, text=True, timeout=60)
    return done.returncode == 0 and f"v{VERSION}" in done.stdout


def build() -> None:
    """Builds in a copy of the module, whose requirements it has to change."""
    workbench.check_disk(
        folder(), MIN_FREE_GB, f"Free some space, or {OTHERWISE}, and run this again."
    )
    with tempfile.TemporaryDirectory(prefix="consilium-go-") as name:
        work = Path(name)
        go = engines.go_on_path() or engines.go_from_pypi(work / "go")
        run = partial(
            engines.run,
            hint=f"It needs a Go module proxy (GOPROXY): where there is none, {OTHERWISE}.",
        )
        (work / "go.mod").write_text("module engines\n\ngo 1.24\n")
        answer = run(go, "mod", "download", "-json", f"{MODULE}@v{VERSION}", folder=work)
        module = work / "kaia"
        shutil.copytree(json.loads(answer)["Dir"], module, copy_function=shutil.copyfile)
        for path in (module, *module.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
        run(go, "mod", "edit", f"-require={REPLACED}", folder=module)
        for program in PROGRAMS:
            run(go, "build", *FLAGS, "-o", work / program, f"./cmd/{program}", folder=module)
            if program == "kcn" and not works(work / program):
                raise ToolError(f"the {program} just built is not {VERSION}: report this")
        for program in PROGRAMS:
            beside = folder() / f"{program}.new"
            shutil.copy2(work / program, beside)
            beside.replace(folder() / program)


def bring() -> Path:
    """The folder of the programs. Raises ToolError where they cannot be had."""
    if is_built():
        return folder()
    folder().mkdir(parents=True, exist_ok=True)
    waiting = partial(say, "another build is running; waiting for it")
    with workbench.alone(folder() / ".lock", waiting):
        if not is_built():
            started = time.monotonic()
            say(f"building Kaia {VERSION} (once on this machine)")
            build()
            say(f"built in {time.monotonic() - started:.0f} s: {folder()}")
    return folder()


if __name__ == "__main__":
    sys.exit(workbench.finish("kaia", lambda: print(bring())))
