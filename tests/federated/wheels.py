"""Tiny distributions that bring a model family, as wheels: real files, no index."""

from __future__ import annotations

import base64
import hashlib
import itertools
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

_NUMBERS = itertools.count()

SQUARES = '''
"""Weights of the inputs and of their squares."""
import math
from pathlib import Path

from federated.families import Family
from .inner import both

Path({marker!r}).touch()


class Squares(Family):
    name = "squares"

    def shapes(self, config, shape, outputs):
        width = 2 * math.prod(shape)
        return {{"out.bias": (outputs,), "out.weight": (outputs, width)}}

    def forward(self, parameters, inputs, config, shape, *, training=False):
        return both(inputs) @ parameters["out.weight"].T + parameters["out.bias"]
'''
INNER = """
import torch


def both(inputs):
    return torch.cat([inputs, inputs ** 2], dim=1)
"""


@dataclass
class Wheel:
    """A distribution `package` of one folder of modules; a name of its own in each test."""

    folder: Path
    family: str = "squares"
    source: str = ""
    entry: str = ""
    more: dict[str, str] = field(default_factory=dict)
    package: str = ""

    def __post_init__(self) -> None:
        self.package = self.package or f"acme{next(_NUMBERS)}"
        self.source = self.source or SQUARES.format(marker=str(self.marker))
        self.entry = self.entry or f"{self.package}:Squares"

    @property
    def marker(self) -> Path:
        """Appears when the package is imported."""
        return self.folder / f"{self.package}.ran"

    @property
    def info(self) -> str:
        return f"{self.package}-1.0.dist-info"

    def contents(self) -> dict[str, bytes]:
        files = {
            f"{self.package}/__init__.py": self.source,
            f"{self.package}/inner.py": INNER,
            **self.more,
            f"{self.info}/METADATA": (
                f"Metadata-Version: 2.1\nName: {self.package}\nVersion: 1.0\n"
            ),
            f"{self.info}/WHEEL": (
                "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            ),
            f"{self.info}/entry_points.txt": (
                f"[consilium.families]\n{self.family} = {self.entry}\n"
            ),
        }
        made = {path: text.encode() for path, text in files.items()}
        rows = [f"{path},sha256={_hash(data)},{len(data)}" for path, data in made.items()]
        made[f"{self.info}/RECORD"] = "\n".join([*rows, f"{self.info}/RECORD,,", ""]).encode()
        return made

    def build(self) -> Path:
        """The wheel itself."""
        path = self.folder / f"{self.package}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as file:
            for name, data in self.contents().items():
                file.writestr(name, data)
        return path

    def unpack(self, site: Path) -> Path:
        """What an installer does, without its marks."""
        with zipfile.ZipFile(self.build()) as file:
            file.extractall(site)
        return site

    def pip(self, site: Path, *options: str) -> Path:
        """As pip installs it."""
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
        command += ["--disable-pip-version-check", "--target", str(site), *options]
        subprocess.run([*command, str(self.build())], check=True)
        return site


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
