"""Flower's environment: made once from its own hashed lock, in the cache folder of the user.

Installed beside ours, Flower's requirements would silently bring older packages for both.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from storage.toolchain import engines_folder

ROOT = Path(__file__).resolve().parents[2]
LOCK = Path(__file__).with_name("requirements.lock")
UV = ROOT / ".venv" / "bin" / "uv"


def flower_python() -> Path:
    """The interpreter of the environment, which is built first where it is not there yet."""
    name = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    folder = engines_folder() / f"flower-{name}"
    python = folder / "bin" / "python"
    if python.exists():
        return python
    folder.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.write("bench: builds Flower's environment, once\n")
    beside = folder.with_name(f"{folder.name}.{os.getpid()}")
    try:
        _run(UV, "venv", "--quiet", "--relocatable", "--python", sys.executable, beside)
        at = ("--python", beside / "bin" / "python")
        _run(UV, "pip", "install", "--quiet", "--require-hashes", *at, "-r", LOCK)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return python


def _run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], check=True)
