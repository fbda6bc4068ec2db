"""Code of families that somebody installed: which distributions bring it, and its digest.

Nothing here imports it. The digest is over the files that a wheel's RECORD lists, as they lie on
the disk now: all that may be imported, and `entry_points.txt`, which says what a name stands for.
Marks that installers leave differ from hospital to hospital, and are no part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import Distribution, distributions
from pathlib import Path

from federated.canonical import digest, encode
from federated.errors import FamilyError
from federated.families.installed import ENTRIES, files_of

GROUP = "consilium.families"
_FORMAT = "consilium/family-code/1"


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
            root, files = files_of(self.source)
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
    found = [data for path, data in files.items() if path.endswith(f".dist-info/{ENTRIES}")]
    parser = ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(b"\n".join(found).decode())
        listed = parser.get(GROUP, offer.family)
    except (ConfigParserError, ValueError) as exc:
        raise FamilyError(f"does not list its {ENTRIES}; install it from a wheel") from exc
    if len(found) != 1 or listed != offer.entry:
        raise FamilyError(f"lists another {ENTRIES} than it has; install it from a wheel")
