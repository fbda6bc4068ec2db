"""`consilium engines`: the daemons that a private swarm runs, found or built."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from api.cli.options import AsJson
from api.cli.show import json_object, table
from api.errors import ApiError

_TOOL = Path(__file__).resolve().parents[2] / "tools" / "engines.py"


def engines(
    build: Annotated[
        bool, typer.Option("--build", help="Build what is missing, as `make engines` does.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show which engines of the private swarm are there, where, and of which version.

    Exit status 1 where one is missing.

    Example: consilium engines --build
    """
    from storage.errors import EngineMissing
    from storage.toolchain import ENGINES

    if build:
        _build()
    found = []
    for engine in ENGINES:
        try:
            path = str(engine.find())
        except EngineMissing:
            path = ""
        version = engine.version_of(path) if path else ""
        found.append(
            {"program": engine.program, "wanted": engine.version, "found": version, "path": path}
        )
    if as_json:
        json_object(found)
    else:
        rows = [[row[key] or "missing" for key in row] for row in found]
        table("engines", ["program", "wanted", "found", "path"], rows)
    if any(row["found"] != row["wanted"] for row in found):
        raise typer.Exit(1)


def _build() -> None:
    if not _TOOL.is_file():
        raise ApiError(f"{_TOOL} is missing: only a checkout builds engines, see README.md")
    if subprocess.run([sys.executable, str(_TOOL)]).returncode:
        raise ApiError("an engine cannot be built: the lines above say why")
