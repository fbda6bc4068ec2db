"""Where `make engines` puts the Kubo that this package starts."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from storage.errors import EngineMissing

KUBO_VERSION = "0.43.0"


def kubo() -> Path:
    """The `ipfs` of the pinned version: of the cache, else of PATH. Raises EngineMissing."""
    built = engines_folder() / f"kubo-{KUBO_VERSION}" / "ipfs"
    if built.is_file():
        return built
    found = shutil.which("ipfs")
    if found is not None and _version(found) == KUBO_VERSION:
        return Path(found)
    raise EngineMissing(
        f"Kubo {KUBO_VERSION} is neither at {built} nor on PATH as `ipfs`: run `make engines`"
    )


def engines_folder() -> Path:
    """The user's cache folder of engines, shared by all checkouts."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    return base / "consilium" / "engines"


@cache
def _version(program: str) -> str:
    try:
        answer = subprocess.run(
            [program, "version", "--number"], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip()
