"""What holds for every test: one torch thread a process, and the rule for missing engines."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from storage import toolchain
from storage.errors import EngineMissing
from tests.chain.postgres import programs
from tests.tooling.kit import load

# Before torch is imported, here and in every child: two workers share two cores.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

# The same examples in every run, however slow the machine is: a new find must not refuse a change
# that has nothing to do with it. `--hypothesis-profile default` draws others, as `make fuzz` does.
settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")

ROOT = Path(__file__).resolve().parent.parent
NODE_MODULES = ROOT / "node_modules"


def _anvil() -> bool:
    return any(NODE_MODULES.glob("@foundry-rs/anvil-*/bin/anvil*"))


def _node_tool(entry: str) -> Callable[[], bool]:
    node = ROOT / ".venv" / "bin" / "node"
    return lambda: node.exists() and (NODE_MODULES / entry).exists()


def _built(*engines: toolchain.Engine) -> Callable[[], bool]:
    def all_found() -> bool:
        try:
            return all(engine.find() for engine in engines)
        except EngineMissing:
            return False

    return all_found


def _compose() -> bool:
    engines = load(ROOT / "tools" / "engines.py")
    return all(engines.built(item).is_file() for item in (engines.COMPOSE, engines.KUBO_IMAGE))


def _halmos() -> bool:
    return bool(load(ROOT / "tools" / "own_environment.py").is_built("halmos"))


ENGINES: dict[str, Callable[[], bool]] = {
    "anvil": _anvil,
    "chromium": _node_tool("@sparticuz/chromium/bin/chromium.br"),
    "cluster": _built(toolchain.CLUSTER, toolchain.CLUSTER_CTL),
    "compose": _compose,
    "halmos": _halmos,
    "hardhat": _node_tool("hardhat/package.json"),
    "kubo": _built(toolchain.KUBO),
    "postgres": lambda: programs() is not None,
    "solc": _node_tool("solc/soljson.js"),
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose engine is missing; fail it in CI."""
    for marker in item.iter_markers("engine"):
        for name in marker.args:
            if ENGINES[name]():
                continue
            target = "engines" if name in ("cluster", "compose", "halmos", "kubo") else "setup"
            reason = f"{name} is missing: `make {target}` brings it"
            if os.environ.get("CONSILIUM_REQUIRE_ENGINES") == "1":
                pytest.fail(reason)
            pytest.skip(reason)
