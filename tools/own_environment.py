"""Programs whose packages do not go with ours, each in an environment of its own.

    python tools/own_environment.py halmos

It is made from `tools/<name>/requirements.lock`, once, in the user's cache.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Started as a file, its folder would stand before the checkout's packages.
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

from storage.toolchain import engines_folder  # noqa: E402

UV = ROOT / ".venv" / "bin" / "uv"


def lock_of(name: str) -> Path:
    """The lock that a program's environment is made from."""
    return ROOT / "tools" / name / "requirements.lock"


def folder_of(name: str) -> Path:
    """Where a program's environment is, or will be: named by the lock's digest."""
    digest = hashlib.sha256(lock_of(name).read_bytes()).hexdigest()[:16]
    return engines_folder() / f"{name}-{digest}"


def is_built(name: str) -> bool:
    """Whether the program of that name is there already."""
    return (folder_of(name) / "bin" / name).exists()


def program(name: str) -> Path:
    """The program of that name; its environment is built first where it is not there yet."""
    folder = folder_of(name)
    if not is_built(name):
        sys.stderr.write(f"{name}: builds its environment, once\n")
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = folder.with_name(f"{folder.name}.{os.getpid()}")
        try:
            _run(UV, "venv", "--quiet", "--relocatable", "--python", sys.executable, beside)
            at = ("--python", beside / "bin" / "python")
            _run(UV, "pip", "install", "--quiet", "--require-hashes", *at, "-r", lock_of(name))
            _put_in_place(beside, name)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return folder / "bin" / name


def _put_in_place(beside: Path, name: str) -> None:
    folder = folder_of(name)
    try:
        beside.rename(folder)
    except OSError as exc:
        if not is_built(name):  # else another process built the same meanwhile
            raise SystemExit(
                f"{name}: {folder} cannot be made ({exc.strerror}), and has no such program: "
                "remove it, then try again"
            ) from exc


def _run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], check=True)


if __name__ == "__main__":
    for _name in sys.argv[1:]:
        program(_name)
