"""report.json and report.html in a study's folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from api.errors import ReportError
from api.report.data import FORMAT, ReportData
from records.export import write_private

DATA, PAGE = "report.json", "report.html"


def write_data(folder: Path, data: ReportData) -> Path:
    """Write report.json (mode 600); returns its path."""
    text = json.dumps(asdict(data), allow_nan=False, ensure_ascii=False, indent=1)
    return write_private(folder / DATA, text.encode())


def read_data(path: Path) -> ReportData:
    """What `write_data` wrote. Raises `ReportError` for what is missing, damaged or of old."""
    again = "run `consilium demo` again"
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as exc:
        raise ReportError(f"{path} does not exist: {again}") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise ReportError(f"{path} cannot be read: correct that, or {again}") from exc
    try:
        # Not json.loads: it can overflow the stack on brackets in brackets, which ends the process.
        tree = from_json(text, allow_inf_nan=False)
    except ValueError as exc:
        raise ReportError(f"{path} is damaged, it is no JSON: {again}") from exc
    found = tree.get("format") if isinstance(tree, dict) else None
    if found != FORMAT:
        raise ReportError(f"{path} has format {_short(found)}, not {FORMAT!r}: {again}")
    try:
        return TypeAdapter(ReportData).validate_json(text, strict=True)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ReportError(f"{path} is damaged at {where} ({first['msg']}): {again}") from exc


def write_page(path: Path, page: str) -> Path:
    """Write the page (mode 600: a person decides who sees it); returns its path."""
    try:
        return write_private(path, page.encode())
    except OSError as exc:
        raise ReportError(f"{path} cannot be written ({exc.strerror}): name another --out") from exc


def _short(found: Any) -> str:
    return repr(found)[:40]
