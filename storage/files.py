"""Writing to disk so that a loss of power or a kill leaves either nothing or all."""

import os
import tempfile
from pathlib import Path


def write_durably(path: Path, content: bytes, mode: int = 0o666) -> None:
    """A new file, its bytes on the disk on return; FileExistsError if the name is taken."""
    write_new(path, content, mode, durably=True)


def write_new(
    path: Path | str, content: bytes | memoryview, mode: int = 0o666, *, durably: bool
) -> None:
    """A new file; FileExistsError if the name is taken."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb", buffering=0) as file:
        left = memoryview(content)
        while left:
            left = left[file.write(left) :]
        if durably:
            os.fsync(handle)


def sync_folder(path: Path | str) -> None:
    """Make a rename or a new name in the folder survive a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path, *, durably: bool = True) -> None:
    """One more folder in an existing one. Idempotent."""
    if not path.is_dir():
        path.mkdir(exist_ok=True)
        if durably:
            sync_folder(path.parent)


def locks_folder() -> Path:
    """Where processes of this user on this machine lock out each other."""
    folder = Path(tempfile.gettempdir()) / f"consilium-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
