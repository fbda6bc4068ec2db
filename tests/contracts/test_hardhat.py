"""Hardhat compiles the contracts to what is committed, fuzzes their libraries and walks in them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from chain import artifacts, toolchain

ROOT = toolchain.ROOT
HARDHAT = ROOT / "node_modules" / "hardhat" / "dist" / "src" / "cli.js"


pytestmark = pytest.mark.timeout(3_600)  # compiling is most of it: the walks hold every contract


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hardhat's artifacts, compiled anew in a folder of its own."""
    folder = tmp_path_factory.mktemp("hardhat")
    for name in ("hardhat.config.js", "package.json"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "contracts", folder / "contracts")
    (folder / "tests" / "contracts").mkdir(parents=True)
    for path in (ROOT / "tests" / "contracts").glob("*.sol"):
        shutil.copy(path, folder / "tests" / "contracts")
    (folder / "node_modules").symlink_to(ROOT / "node_modules")
    _hardhat(folder, "build")
    return folder / "build" / "hardhat" / "artifacts"


@pytest.mark.engine("hardhat")
def test_hardhat_gives_the_committed_bytecode_and_abi(compiled: Path) -> None:
    found = {}
    for path in compiled.rglob("*.json"):
        tree = json.loads(path.read_text("utf-8"))
        if "deployedBytecode" in tree:
            found[tree["contractName"]] = tree
    names = artifacts.names()
    assert {"Participants", "Consents", "Rounds", "Challenges", "Escrow"} <= set(names)
    for name in names:
        artifact = artifacts.load(name)
        assert found[name]["bytecode"] == "0x" + artifact.creation.hex(), name
        assert found[name]["deployedBytecode"] == "0x" + artifact.runtime.hex(), name
        assert _by_signature(found[name]["abi"]) == _by_signature(artifact.abi), name


@pytest.mark.engine("hardhat")
def test_fuzzed_properties_and_invariants_hold(compiled: Path) -> None:
    """A thousand runs each and a few walks; `make prove` takes more."""
    shown = _hardhat(compiled.parents[2], "test", "solidity")
    written = [
        name
        for path in (ROOT / "tests" / "contracts").glob("*.t.sol")
        for name in re.findall(
            r"function ((?:test|testFuzz|invariant)_\w+)\(", path.read_text("utf-8")
        )
    ]
    assert f"{len(written)} passing" in shown
    assert all(name in shown for name in written)


def _hardhat(folder: Path, *words: str) -> str:
    node = ROOT / ".venv" / "bin" / "node"
    done = subprocess.run(
        [str(node), "--preserve-symlinks", str(HARDHAT), *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=3_600,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _by_signature(abi: object) -> list[str]:
    assert isinstance(abi, list | tuple)
    return sorted(json.dumps(item, sort_keys=True) for item in abi)
