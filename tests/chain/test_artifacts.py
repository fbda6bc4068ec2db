"""Compiled contracts are committed; running needs no compiler, and notices a change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain import artifacts, toolchain
from chain import compile as compiler
from chain.errors import ArtifactsStale, ToolMissing


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The artifacts in a folder that a test may spoil."""
    folder = tmp_path / "artifacts"
    shutil.copytree(artifacts.ARTIFACTS, folder)
    monkeypatch.setattr(artifacts, "ARTIFACTS", folder)
    artifacts.load.cache_clear()
    yield folder
    artifacts.load.cache_clear()


@pytest.mark.engine("solc")
def test_sources_settings_and_artifacts_are_those_recorded() -> None:
    compiler.check()


@pytest.mark.engine("solc")
def test_compiling_again_gives_the_committed_artifacts() -> None:
    some = ["contracts/Participants.sol", "contracts/Attestations.sol"]
    made = compiler.compile_all(compiler.read_sources(some))
    assert set(made) == {"Participants", "Attestations"}
    for name, artifact in made.items():
        assert artifacts.dump(artifact) == (artifacts.ARTIFACTS / f"{name}.json").read_bytes(), name


@pytest.mark.engine("solc")
def test_a_source_changed_after_compiling_is_named(copied: Path) -> None:
    record = json.loads((copied / "sources.json").read_bytes())
    record["sources"]["contracts/Rounds.sol"] = "0" * 64
    (copied / "sources.json").write_bytes(json.dumps(record).encode())
    with pytest.raises(ArtifactsStale, match=r"contracts/Rounds.sol.*make contracts"):
        compiler.check()


def test_an_artifact_changed_by_one_byte_is_refused(copied: Path) -> None:
    path = copied / "Escrow.json"
    path.write_bytes(path.read_bytes().replace(b"60", b"61", 1))
    with pytest.raises(ArtifactsStale, match=r"Escrow.json was altered"):
        artifacts.load("Escrow")


def test_an_artifact_that_nobody_recorded_is_refused(copied: Path) -> None:
    (copied / "Other.json").write_text("{}")
    with pytest.raises(ArtifactsStale, match="Other"):
        artifacts.verify_artifacts()


def test_a_missing_artifact_says_how_to_make_it(copied: Path) -> None:
    (copied / "Rounds.json").unlink()
    with pytest.raises(ArtifactsStale, match="make contracts"):
        artifacts.load("Rounds")


def test_a_missing_tool_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "NODE_MODULES", tmp_path)
    with pytest.raises(ToolMissing, match="make setup"):
        toolchain.anvil()
    with pytest.raises(ToolMissing, match="make setup"):
        toolchain.solc_js()
