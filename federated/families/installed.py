"""The files of an installed distribution that count, read once and never through a link."""

from __future__ import annotations

import csv
import json
import os
import stat
from importlib.metadata import Distribution
from pathlib import Path, PurePosixPath

from federated.errors import FamilyError

ENTRIES = "entry_points.txt"
_LARGEST = 16 << 20
_MOST_FILES = 1000
_COMPILED = (".so", ".pyd", ".dll", ".dylib", ".pyc", ".pyo")


def files_of(source: Distribution) -> tuple[Path, dict[str, bytes]]:
    """The folder that it is installed in, and bytes by path below it.

    Raises `FamilyError` for a distribution that no digest could stand for.
    """
    root = source.locate_file("")
    if not isinstance(root, Path):
        raise FamilyError("is not installed in a folder; install its wheel")
    if _is_editable(source.read_text("direct_url.json")):
        raise FamilyError("is installed as editable, and changes as it is edited; install a wheel")
    files: dict[str, bytes] = {}
    left = _LARGEST
    for path in _listed(source):
        if _is_code(path):
            files[path] = _bytes(root, path, left)
            left -= len(files[path])
    return root, files


def _listed(source: Distribution) -> list[str]:
    try:
        record = source.read_text("RECORD")
        paths = [row[0] for row in csv.reader((record or "").splitlines()) if row]
    except (csv.Error, ValueError) as exc:
        raise FamilyError("has a RECORD that cannot be read; install it from a wheel") from exc
    if not paths:
        raise FamilyError("has no RECORD; install it from a wheel")
    if len(paths) > _MOST_FILES:
        raise FamilyError(f"has more than {_MOST_FILES} files; it is no family")
    return paths


def _is_editable(direct_url: str | None) -> bool:
    try:
        origin = json.loads(direct_url or "{}")
        return bool(origin.get("dir_info", {}).get("editable", False))
    except (ValueError, AttributeError, RecursionError) as exc:
        raise FamilyError("has a direct_url.json that cannot be read; install a wheel") from exc


def _is_code(path: str) -> bool:
    """Whether a file counts. Raises `FamilyError` for what no family may bring."""
    parts = PurePosixPath(path).parts
    out = path.startswith("/") or ".." in parts or "\\" in path
    if out or not parts or not path.isprintable():
        raise FamilyError(f"lists a file outside of its folder, {path[:60]!r}; it may bring none")
    if parts[0].endswith(".dist-info"):
        return parts[1:] == (ENTRIES,)
    if "__pycache__" in parts:
        return False  # made by the installer, and never read here
    if path.endswith(".pth"):
        raise FamilyError("has a .pth file, which runs at every start of Python; install a wheel")
    if path.endswith(_COMPILED):
        raise FamilyError(f"has compiled code, {path[:60]!r}; a family is Python's source")
    return True


def _bytes(root: Path, path: str, most: int) -> bytes:
    """A listed file, which neither is a link nor lies below one: whoever set it could turn it."""
    whole = root
    for part in PurePosixPath(path).parts:
        whole = whole / part
        if whole.is_symlink():
            raise FamilyError(f"has a link, {path[:60]!r}; install it anew")
    try:
        handle = os.open(whole, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            data = file.read(most + 1) if stat.S_ISREG(os.fstat(handle).st_mode) else None
    except OSError as exc:
        raise FamilyError(f"lists {path[:60]!r}, which cannot be read; install it anew") from exc
    if data is None or len(data) > most:
        raise FamilyError(f"has {path[:60]!r}, no file or too large; it is no family")
    return data
