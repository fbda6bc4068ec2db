"""Two processes that build the same environment at once both get it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain import toolchain
from tests.tooling.kit import load

tool = load(toolchain.ROOT / "tools" / "own_environment.py")


def put(folder: Path, name: str) -> None:
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    (folder / "bin" / name).write_text("a program")


@pytest.mark.parametrize("quicker", [False, True])
def test_who_is_second_takes_what_the_first_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quicker: bool
) -> None:
    monkeypatch.setattr(tool, "engines_folder", lambda: tmp_path)
    folder = tool.folder_of("halmos")

    def run(*command: str | Path) -> None:
        if "venv" in command:
            put(Path(command[-1]), "halmos")
            if quicker:  # another process is
                put(folder, "halmos")

    monkeypatch.setattr(tool, "_run", run)
    assert tool.program("halmos") == folder / "bin" / "halmos"
    assert tool.is_built("halmos")
    assert list(tmp_path.iterdir()) == [folder]


def test_what_is_there_and_no_environment_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*command: str | Path) -> None:
        if "venv" in command:
            put(Path(command[-1]), "halmos")

    monkeypatch.setattr(tool, "engines_folder", lambda: tmp_path)
    monkeypatch.setattr(tool, "_run", run)
    put(tool.folder_of("halmos"), "python")
    with pytest.raises(SystemExit, match="remove it, then try again"):
        tool.program("halmos")
