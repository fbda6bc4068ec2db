"""The instructions of the Dockerfile, by stages."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from tests.tooling.kit import ROOT


@dataclass(frozen=True)
class Copy:
    """Sources below the context, or below the root of another stage, and where they go."""

    sources: tuple[str, ...]
    target: str
    stage: str = ""

    def places(self) -> list[tuple[str, str]]:
        """Each source below the checkout, and where it lies in the image."""
        target = PurePosixPath("/app", self.target)
        into = self.target.endswith("/")
        return [
            (
                source.removeprefix("/app/"),
                str(target / PurePosixPath(source).name if into else target),
            )
            for source in self.sources
        ]


@dataclass
class Stage:
    """What one FROM begins."""

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def of(self, kind: str) -> list[str]:
        """The texts of all instructions of a kind."""
        return [text for found, text in self.instructions if found == kind]

    def copies(self) -> list[Copy]:
        """What it takes from elsewhere."""
        found = []
        for text in self.of("COPY"):
            *sources, target = shlex.split(text)
            stage = ""
            if sources[0].startswith("--from="):
                stage = sources.pop(0).removeprefix("--from=")
            assert not sources[0].startswith("--"), text
            found.append(Copy(tuple(sources), target, stage))
        return found


def stages() -> list[Stage]:
    """Of the Dockerfile of this checkout."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\\\n\s*", " ", text)
    found: list[Stage] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        kind, _, rest = line.partition(" ")
        if kind == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base, name))
        else:
            found[-1].instructions.append((kind, rest.strip()))
    return found
