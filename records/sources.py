"""Where public data sets come from: `$CONSILIUM_DATA`, else their official address.

Nothing of a data set is in this project. A file counts by its sha256 wherever it was found.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from records.errors import DataMissing

_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Source:
    """A file: its place below `$CONSILIUM_DATA`, its official address, its sha256 and size."""

    path: str
    address: str
    sha256: str
    size: int


_HEART = "https://archive.ics.uci.edu/ml/machine-learning-databases/heart-disease/"


def _heart(hospital: str, sha256: str, size: int) -> Source:
    name = f"processed.{hospital}.data"
    return Source(f"heart/{name}", _HEART + name, sha256, size)


HEART: dict[str, Source] = {
    "cleveland": _heart(
        "cleveland", "a74b7efa387bc9d108d7d0115d831fe9b414b29ae7124f331b622b4efa0427c8", 18461
    ),
    "hungarian": _heart(
        "hungarian", "d1ad108f785768cd3d7e82dc522e6f5a61eea93cccfb3a46ee8076f73fc3d796", 10263
    ),
    "switzerland": _heart(
        "switzerland", "834a405ccf5b66ab4056bb77794adc8df0b7125186454c0a1d002d33c6c3b314", 4109
    ),
    "va": _heart("va", "e7c93d8d0d2acdadfa4c5e8de768e2191e7f618b952e29623f1f0d5949ff6b8f", 6737),
}
"""UCI Heart Disease (A. Janosi, W. Steinbrunn, M. Pfisterer, R. Detrano; CC BY 4.0)."""

PNEUMONIA = Source(
    "medmnist/pneumoniamnist.npz",
    "https://zenodo.org/records/10519652/files/pneumoniamnist.npz?download=1",
    "e1792d3f03751cb101e99f19a63b3c1941436c988665f47853417b05be250cd8",
    4170669,
)
"""PneumoniaMNIST of MedMNIST v2 (J. Yang et al.; CC BY 4.0), 28×28 pixels."""


def read_source(source: Source, cache: Path | None = None) -> bytes:
    """The bytes of a data set's file, checked.

    Looked for below `$CONSILIUM_DATA`, then in `cache` (else the user's cache folder), then at the
    official address, from where it is kept in the cache. Raises `DataMissing`.
    """
    given = os.environ.get("CONSILIUM_DATA")
    if given and (path := Path(given) / source.path).exists():
        return _checked(source, _read(path), str(path))
    kept = (cache or _cache()) / source.path
    if kept.exists():
        return _checked(source, _read(kept), str(kept))
    data = _checked(source, _download(source, given), source.address)
    _keep(kept, data)
    return data


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "consilium" / "data"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise DataMissing(f"{path}: cannot be read ({exc.strerror}); check the file") from exc


def _checked(source: Source, data: bytes, where: str) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if found != source.sha256:
        raise DataMissing(
            f"{where}: sha256 is {found}, {source.sha256} is expected; "
            f"put the file of {source.address} there"
        )
    return data


def _download(source: Source, given: str | None) -> bytes:
    import httpx  # only who lacks the file needs it

    data = bytearray()
    try:
        with httpx.stream(
            "GET", source.address, timeout=_TIMEOUT_S, follow_redirects=True
        ) as answer:
            answer.raise_for_status()
            for part in answer.iter_bytes():
                data += part
                if len(data) > source.size:
                    break  # its digest cannot fit any more
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        looked = f"not in CONSILIUM_DATA ({given})" if given else "CONSILIUM_DATA is not set"
        raise DataMissing(
            f"{source.path}: {looked}, and {source.address} gives no answer "
            f"({type(exc).__name__}); set CONSILIUM_DATA to a folder that holds {source.path}, or "
            "connect this machine"
        ) from exc
    return bytes(data)


def _keep(path: Path, data: bytes) -> None:
    """Kept whole or not at all; a cache that cannot be written costs only the next download."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
