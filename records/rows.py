"""Judge one row of a hospital's file by the dictionary, and read its values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from records.cells import number
from records.dictionary import Dictionary, Field
from records.errors import ImageError
from records.pictures import decode_png
from records.quality import Finding, Rule
from records.record import LocalKey, Record, Value

_LONGEST_FILE = 64 << 20


def read_row(
    line: int, row: Mapping[str, str], dictionary: Dictionary, keys: Counter[str], folder: Path
) -> Record | tuple[Finding, ...]:
    """The record in a row of cells by column, or every reason why there is none.

    `keys` counts the file's patient keys; images are looked for below `folder`.
    """
    broken: list[tuple[str, Rule]] = []
    key = row[dictionary.key]
    if not key:
        broken.append((dictionary.key, Rule.KEY_PRESENT))
    elif keys[key] > 1:  # which of them is right cannot be known here
        broken.append((dictionary.key, Rule.KEY_UNIQUE))
    values: list[Value] = []
    for field in dictionary.fields:
        read = _image if field.shape else _number
        found = read(row[field.name], field, folder)
        if isinstance(found, Rule):
            broken.append((field.name, found))
        else:
            values.append(found)
    label = dictionary.outcome.read(row)
    if isinstance(label, list):
        broken += label
    if row.get(dictionary.held_out, "no") not in ("yes", "no"):
        broken.append((dictionary.held_out, Rule.HELD_OUT))
    if broken or isinstance(label, list):
        return tuple(Finding(line, field, rule, row[field]) for field, rule in broken)
    return Record(LocalKey(key), tuple(values), label, row.get(dictionary.held_out) == "yes")


def _number(cell: str, field: Field, _: Path) -> float | Rule:
    if not cell:
        return Rule.PRESENT
    value = number(cell)
    if value is None:
        return Rule.NUMBER
    return value if field.minimum <= value <= field.maximum else Rule.RANGE


def _image(cell: str, field: Field, folder: Path) -> bytes | Rule:
    """Grey levels out of the file that a cell names; nothing outside the folder is opened."""
    if not cell:
        return Rule.PRESENT
    try:
        path = (folder / cell).resolve()
        if not path.is_relative_to(folder.resolve()) or path.stat().st_size > _LONGEST_FILE:
            return Rule.IMAGE
        image = decode_png(path.read_bytes())
    except (OSError, ValueError, ImageError):
        return Rule.IMAGE
    return image.pixels if image.shape == field.shape else Rule.IMAGE
