"""Writing to disk so that a loss of power or a kill leaves either nothing or all."""

import os
from pathlib import Path


def write_durably(path: Path, content: bytes, mode: int = 0o666) -> None:
    """A new file, its bytes on the disk on return; FileExistsError if the name is taken."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Make a rename or a new name in the folder survive a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """One more folder in an existing one, durably. Idempotent."""
    if not path.is_dir():
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)
