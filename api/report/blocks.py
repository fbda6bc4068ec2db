"""What the page is made of; the template shows each block in its one way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from api.report.plots import Panel, Stroke

SIMULATED = "Computed by the simulation, which alone sees all records: no hospital could."
SIGNED = "From counts that each hospital signed about its own test patients."
REPORTED = "From the integer reports that hospitals signed, listed in the rounds' manifests."
ON_CHAIN = "From the chain and signed manifests: anyone can check it."
MEASURED = "Measured on the machine that ran the study."
COUNTED = "Counted where the study ran; no party signed it."


_LONG = 18


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell; `shade` from 0 (none) to 5 tints it, `code` is for digests."""

    text: str
    shade: int = 0
    strong: bool = False
    code: bool = False

    @property
    def long(self) -> bool:
        """Whether it has a word that may be broken where there is no room."""
        return any(len(word) > _LONG for word in self.text.split())


@dataclass(frozen=True, slots=True)
class Table:
    """Rows whose first cell is their header. `source` says where the figures come from.

    Columns in `words` are of text; the others are of numbers. `folded` tables are shown on demand.
    """

    kind = "table"
    id: str
    caption: str
    source: str
    columns: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: frozenset[int] = frozenset()
    folded: bool = False

    @property
    def wide(self) -> bool:
        """Whether it is printed across the page."""
        return len(self.columns) > 9


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; `look` is "", "note", "good" or "bad"."""

    kind = "text"
    text: str
    look: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """A point of a list: a mark told as a word, what it is about, and a sentence."""

    mark: str
    head: str
    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list of points."""

    kind = "items"
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Plots:
    """Panels side by side under one key."""

    kind = "plots"
    panels: tuple[Panel, ...]
    key: tuple[tuple[str, Stroke], ...] = ()


@dataclass(frozen=True, slots=True)
class Drawing:
    """One picture that scrolls where the window is narrow."""

    kind = "drawing"
    id: str
    title: str
    picture: Markup


Block = Table | Text | Items | Plots | Drawing


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it."""

    id: str
    title: str
    blocks: tuple[Block, ...] = field(default=())


def row(*cells: str | Cell) -> tuple[Cell, ...]:
    """Cells of one row."""
    return tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in cells)


def table(
    id_: str,
    caption: str,
    source: str,
    columns: Sequence[str],
    rows: Sequence[tuple[Cell, ...]],
    *,
    words: Sequence[int] = (),
    folded: bool = False,
) -> Table:
    """A table; column 0 is always of words."""
    kept = frozenset({0, *words})
    return Table(id_, caption, source, row(*columns), tuple(rows), kept, folded)
