"""Code of families that somebody installed: which distributions bring it, and its digest.

Nothing here imports it. The digest is over the files that a wheel's RECORD lists, as they lie on
the disk now: all that may be imported, and `entry_points.txt`, which says what a name stands for.
Marks that installers leave differ from hospital to hospital, and are no part of it.
"""

from __future__ import annotations

import csv
import json
import os
import stat
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePosixPath

from federated.canonical import digest, encode
from federated.errors import FamilyError

GROUP = "consilium.families"
_FORMAT = "consilium/family-code/1"
_ENTRIES = "entry_points.txt"
_LARGEST = 16 << 20
_MOST_FILES = 1000
_COMPILED = (".so", ".pyd", ".dll", ".dylib", ".pyc", ".pyo")


@dataclass(frozen=True, slots=True)
class Code:
    """A family's code, read once: what was hashed is what is run.

    `entry` is MODULE:OBJECT; `files` are bytes by path below `root`.
    """

    family: str
    distribution: str
    version: str
    entry: str
    root: Path
    files: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        """sha2-256 of canonical {format, files: [[path, sha2-256], …] by path}, in hexadecimal."""
        listed = [[path, sha256(self.files[path]).digest()] for path in sorted(self.files)]
        return digest(encode({"format": _FORMAT, "files": listed})).hex()


@dataclass(frozen=True, slots=True)
class Offer:
    """A distribution that offers a family by some name, and where in it that stands."""

    family: str
    entry: str
    source: Distribution

    @property
    def named(self) -> str:
        """The distribution's name and version."""
        return f"{self.source.name} {self.source.version}"

    def read(self) -> Code:
        """Its files. Raises `FamilyError` where they are not what they must be."""
        try:
            root, files = _files(self.source)
            _check_entry(files, self)
        except FamilyError as exc:
            raise FamilyError(f"{self.named}: {exc}") from exc
        source = self.source
        return Code(self.family, source.name, source.version, self.entry, root, files)


def offers() -> Iterator[Offer]:
    """All that is installed, by whatever name: several may offer one name."""
    for source in distributions():
        try:
            entries = list(source.entry_points)
        except (TypeError, ValueError):
            continue  # one that is broken offers nothing, and must not hide the others
        for entry in entries:
            if entry.group == GROUP:
                yield Offer(entry.name, entry.value, source)


def find_code(name: str, wanted: str) -> Code:
    """The code of this name and digest. Raises `FamilyError` that says what is there instead."""
    found = []
    for offer in offers():
        if offer.family != name:
            continue
        try:
            code = offer.read()
        except FamilyError as exc:
            found.append(str(exc))
            continue
        if code.digest == wanted:
            return code
        found.append(f"{offer.named} has the digest {code.digest}")
    there = "; ".join(found) or "no distribution offers it"
    raise FamilyError(f"family {name!r} of digest {wanted} is not installed ({there}); install it")


def _check_entry(files: Mapping[str, bytes], offer: Offer) -> None:
    """What the name stands for must be among the bytes that are hashed."""
    found = [data for path, data in files.items() if path.endswith(f".dist-info/{_ENTRIES}")]
    parser = ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(b"\n".join(found).decode())
        listed = parser.get(GROUP, offer.family)
    except (ConfigParserError, ValueError) as exc:
        raise FamilyError(f"does not list its {_ENTRIES}; install it from a wheel") from exc
    if len(found) != 1 or listed != offer.entry:
        raise FamilyError(f"lists another {_ENTRIES} than it has; install it from a wheel")


def _files(source: Distribution) -> tuple[Path, dict[str, bytes]]:
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
        return parts[1:] == (_ENTRIES,)
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
