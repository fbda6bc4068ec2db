"""Cases out of a CSV, JSON or PNG file.

A patient's own key may stand in a CSV or JSON file: it tells which record is the case's own. No
error shows a value.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

from records.case import Case, Reading, check_names, judge_case
from records.cells import number
from records.dictionary import Field
from records.errors import CaseRefused, ImageError
from records.pictures import decode_png, fit_picture, is_png
from records.table import read_table, require_columns

MOST_CASES = 1000
_LONGEST_FILE = 64 << 20


def read_cases(path: Path, reading: Reading) -> list[Case]:
    """The cases of a file, in order. Raises `CaseRefused`, `ImportFailed`, `ImageError`."""
    data = _bytes(path)
    picture = next((item for item in reading.dictionary.fields if item.shape), None)
    if picture is not None:
        return [_picture(path, data, picture, reading.fit)]
    if is_png(data):
        raise CaseRefused(
            f"{path}: a picture, but {reading.dictionary.name} has "
            f"{len(reading.dictionary.fields)} fields: give them as CSV or JSON"
        )
    if data.lstrip()[:1] in (b"{", b"["):
        return _from_json(path, data, reading)
    return _from_csv(path, reading)


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise CaseRefused(f"{path}: a folder; name the file of the case")
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST_FILE + 1)
    except OSError as exc:
        raise CaseRefused(f"{path}: cannot be read ({exc.strerror}); check the path") from exc
    if len(data) > _LONGEST_FILE:
        raise CaseRefused(f"{path}: over {_LONGEST_FILE >> 20} MiB; that is no case")
    if not data.strip():
        raise CaseRefused(f"{path}: empty; give a header and one row a case, JSON, or a picture")
    return data


def _picture(path: Path, data: bytes, item: Field, fit: bool) -> Case:
    shape = item.shape[0], item.shape[1]
    try:
        if fit:
            image, done = fit_picture(data, shape)
            return Case((image.pixels,), done=done)
        image = decode_png(data)
    except ImageError as exc:
        raise CaseRefused(f"{path}: {exc}") from exc
    if image.shape != shape:
        raise CaseRefused(
            f"{path}: {image.shape[1]} by {image.shape[0]} pixels, but the study reads "
            f"{shape[1]} by {shape[0]}: export it so, or let --fit scale its middle"
        )
    return Case((image.pixels,))


def _from_csv(path: Path, reading: Reading) -> list[Case]:
    table = read_table(path)
    words = reading.dictionary
    check_names(path, table.header, reading)
    require_columns(table, [item.name for item in words.fields], words.name)
    if not table.rows:
        raise CaseRefused(f"{path}: a header and no row; add one row a case")
    _check_count(path, len(table.rows))
    cases = []
    for row in table.rows:
        where = f"{path}: line {row.line}"
        if len(row.cells) != len(table.header):
            raise CaseRefused(
                f"{where}: {len(row.cells)} cells, but {len(table.header)} columns; correct the row"
            )
        cells = dict(zip(table.header, map(str.strip, row.cells), strict=True))
        values = {x.name: _of_cell(cells[x.name], reading.missing) for x in words.fields}
        cases.append(judge_case(where, values, cells.get(words.key), reading))
    return cases


def _from_json(path: Path, data: bytes, reading: Reading) -> list[Case]:
    """One object, or a list of objects; null stands for a value that is not known."""
    if data.count(b"[") + data.count(b"{") > 2 * MOST_CASES:  # nesting that deep ends a process
        raise CaseRefused(f"{path}: not one object, nor a list of at most {MOST_CASES}; correct it")
    try:
        tree = json.loads(data, object_pairs_hook=_once, parse_constant=_refused)
    except UnicodeDecodeError as exc:
        raise CaseRefused(f"{path}: byte {exc.start} is not UTF-8; export it as UTF-8") from exc
    except json.JSONDecodeError as exc:
        raise CaseRefused(
            f"{path}: line {exc.lineno}: not JSON, or cut off; export it again"
        ) from exc
    except (ValueError, RecursionError) as exc:
        raise CaseRefused(f"{path}: a name twice, or a number that is none; correct it") from exc
    found = tree if isinstance(tree, list) else [tree]
    if not found:
        raise CaseRefused(f"{path}: an empty list; give one object a case")
    _check_count(path, len(found))
    return [_object(path, place, item, reading) for place, item in enumerate(found, start=1)]


def _object(path: Path, place: int, item: Any, reading: Reading) -> Case:
    where = f"{path}: case {place}"
    words = reading.dictionary
    if not isinstance(item, dict):
        raise CaseRefused(f"{where}: not an object of fields and numbers; correct it")
    check_names(path, item, reading)
    if absent := [x.name for x in words.fields if x.name not in item]:
        raise CaseRefused(f"{where}: lacks {', '.join(absent)}; write null for what is not known")
    key = item.get(words.key)
    if key is not None and not isinstance(key, str):
        raise CaseRefused(f"{where}: {words.key}: text is expected")
    return judge_case(where, {x.name: _of_json(item[x.name]) for x in words.fields}, key, reading)


def _of_cell(cell: str, missing: frozenset[str]) -> float | None:
    """The number in a cell; None where it is missing, NaN where it is none."""
    if cell in missing:
        return None
    value = number(cell)
    return math.nan if value is None else value


def _of_json(given: Any) -> float | None:
    """As `_of_cell`; text is no number, and neither is true."""
    if given is None:
        return None
    fits = type(given) in (int, float) and abs(given) <= sys.float_info.max
    return float(given) if fits else math.nan


def _check_count(path: Path, count: int) -> None:
    if count > MOST_CASES:
        raise CaseRefused(f"{path}: {count} cases; at most {MOST_CASES} at once")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


def _refused(name: str) -> float:
    raise ValueError(name)
