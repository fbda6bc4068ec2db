"""Somebody at a terminal: commands in homes of one folder, in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.cli.main import main


class Desk:
    """Types commands in homes of one folder; gives what they say."""

    def __init__(self, folder: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.url, self._capsys = folder, url, capsys

    def run(self, home: str, *words: str, status: int = 0) -> str:
        found = main(["--home", str(self.folder / home), "--rpc", self.url, *words])
        said = self._capsys.readouterr()
        assert found == status, said.err
        return said.err if status else said.out

    def init(self, home: str, role: str, *words: str) -> str:
        """Makes a home; its account."""
        store = str(self.folder / "store")
        start = ["participant", "init", "--role", role, "--name", home, "--store", store]
        self.run(home, *start, "--rpc", self.url, *words)
        return (self.folder / home / "keys" / "address").read_text().strip()

    def said(self) -> pytest.CaptureResult[str]:
        """What was said since `run` or `said` last looked."""
        return self._capsys.readouterr()
