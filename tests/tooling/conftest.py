"""A copy of docker-compose.yml with what `make compose-init` makes beside it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tooling.kit import ROOT


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its variables are replaced, for Compose's bare loader has no environment."""
    folder = tmp_path_factory.mktemp("project")
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    text = re.sub(r"\$\{CONSILIUM_([UG])ID:\?[^}]*\}", "1000", text)
    (folder / "docker-compose.yml").write_text(text, "utf-8")
    init = [sys.executable, ROOT / "tools" / "compose_init.py", "--folder", folder / ".compose"]
    subprocess.run([*init, "--owner", "1000:1000"], check=True, capture_output=True)
    return folder
