"""`consilium chain validator` and `chain genesis`: each member makes its own key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from api.cli.main import main


def test_members_make_their_keys_and_each_the_same_genesis(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("center", "north", "harbor", "lake")
    for number, name in enumerate(names, 1):
        command = ["chain", "validator", str(tmp_path / name), "--host", f"192.0.2.{number}"]
        assert main(command) == 0
        said = capsys.readouterr().out
        assert (tmp_path / name / "enode").read_text().strip() in said
        assert (tmp_path / name / "key").read_text().strip() not in said
    enodes = [word for name in names for word in ("--enode", str(tmp_path / name / "enode"))]
    digests = set()
    for name in names:
        assert main(["chain", "genesis", str(tmp_path / name), "--chain-id", "2026", *enodes]) == 0
        digests.add(capsys.readouterr().out)
    assert len(digests) == 1
    assert "4 validators, of which 1 may fail at once" in digests.pop()
    assert json.loads((tmp_path / "lake" / "genesis.json").read_text())["config"]["chainId"] == 2026
    assert main(["chain", "genesis", str(tmp_path / "few"), "--chain-id", "2026", *enodes[:4]]) == 1
    assert "take at least 4" in capsys.readouterr().err


def test_what_is_no_enode_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"\xff\xfe")
    folder = str(tmp_path / "made")
    assert main(["chain", "genesis", folder, "--chain-id", "1", "--enode", str(wrong)]) == 1
    assert "no address of a node" in capsys.readouterr().err
    gone = str(tmp_path / "gone")
    assert main(["chain", "genesis", folder, "--chain-id", "1", "--enode", gone]) == 1
    assert "gone" in capsys.readouterr().err
