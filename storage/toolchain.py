"""Where `make engines` puts Kubo and IPFS Cluster, which this package starts."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from storage.errors import EngineMissing

KUBO_VERSION = "0.43.0"
CLUSTER_VERSION = "1.1.6"


@dataclass(frozen=True, slots=True)
class Engine:
    """A program of the pinned version: what it is part of, and how it is asked for its version."""

    name: str
    version: str
    program: str
    asked: tuple[str, ...]

    @property
    def built(self) -> Path:
        """Where `make engines` puts it."""
        return engines_folder() / f"{self.name}-{self.version}" / self.program

    def find(self) -> Path:
        """The program: of the cache, else of PATH. Raises EngineMissing."""
        if self.built.is_file():
            return self.built
        found = shutil.which(self.program)
        if found is not None and self.version_of(found) == self.version:
            return Path(found)
        raise EngineMissing(
            f"{self.program} {self.version} is neither at {self.built} nor on PATH: run `make "
            "engines`"
        )

    def version_of(self, program: str | Path) -> str:
        """What a program says that its version is, empty where it says none."""
        return _version(str(program), self.asked)


KUBO = Engine("kubo", KUBO_VERSION, "ipfs", ("version", "--number"))
CLUSTER = Engine("ipfs-cluster", CLUSTER_VERSION, "ipfs-cluster-service", ("--version",))
CLUSTER_CTL = Engine("ipfs-cluster", CLUSTER_VERSION, "ipfs-cluster-ctl", ("--version",))
ENGINES = (KUBO, CLUSTER, CLUSTER_CTL)


def kubo() -> Path:
    """The `ipfs` of the pinned version. Raises EngineMissing."""
    return KUBO.find()


def cluster() -> Path:
    """The `ipfs-cluster-service` of the pinned version. Raises EngineMissing."""
    return CLUSTER.find()


def engines_folder() -> Path:
    """The user's cache folder of engines, shared by all checkouts."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    return base / "consilium" / "engines"


@cache
def _version(program: str, asked: tuple[str, ...]) -> str:
    try:
        answer = subprocess.run([program, *asked], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"\d+\.\d+\.\d+[^\s+]*", answer.stdout)
    return found[0] if found else ""
