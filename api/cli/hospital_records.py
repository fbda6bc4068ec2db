"""`consilium hospital import` and `quality`: the hospital's own file, and how good it is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from api.cli.hospital_node import live_node
from api.cli.options import AsJson
from api.cli.place import open_home
from api.cli.show import json_object, pairs, say, table
from api.cli.values import study_of
from api.errors import ApiError
from api.home import HomeRole
from federated.hospital.data import read_file
from records.importer import Imported
from records.quality import QualityReport
from records.store import RecordStore

_SHOWN = 10


def import_(
    file: Annotated[Path, typer.Argument(help="The hospital's CSV file, one row a patient.")],
    study: Annotated[int, typer.Option(min=1, help="The study whose dictionary is used.")],
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="Keep broken rows aside, import the others.")
    ] = False,
) -> None:
    """Import the hospital's records by a study's dictionary, in the place of earlier ones.

    A file with broken rows is refused, and what was imported before stays; --quarantine keeps those
    rows aside.

    Example: consilium --home homes/north hospital import records.csv --study 1
    """
    node = live_node()
    spec = study_of(node.party, study).spec
    imported = read_file(file, spec)
    if imported.quarantine and not quarantine:
        raise ApiError(f"{file}: {_broken(imported)}; nothing was imported")
    node.records.replace(imported, spec.data.dictionary)
    report = imported.report
    say(f"{report.accepted} of {report.rows} rows imported, {report.quarantined} in quarantine")


def quality(as_json: AsJson = False) -> None:
    """Show how good the imported file is; nothing of it leaves the hospital.

    Example: consilium --home homes/north hospital quality
    """
    home = open_home(HomeRole.HOSPITAL)
    store = RecordStore(home.path / "records.sqlite")
    report = store.report()
    changed = Counter((change.rule.value, change.field) for change in store.changes())
    if as_json:
        altered = [{"rule": r, "field": f, "cells": n} for (r, f), n in changed.items()]
        json_object(_quality_tree(report) | {"changes": altered})
        return
    pairs([(name, getattr(report, name)) for name in ("rows", "accepted", "quarantined")])
    rows = [
        (check.category.value, check.rule.value, check.field, check.failed, f"{check.percent:.1f}")
        for check in report.failed
    ]
    table("rules that rows break", ("category", "rule", "field", "rows", "%"), rows)
    cleaned = [(rule, field, cells) for (rule, field), cells in changed.most_common()]
    if cleaned:
        table("what cleaning changed", ("rule", "field", "cells"), cleaned)


def _broken(imported: Imported) -> str:
    """Lines and rules, never a value."""
    shown = "; ".join(
        f"line {row.line}: "
        + ", ".join(f"{f.field or 'row'} ({f.rule.value})" for f in row.findings)
        for row in imported.quarantine[:_SHOWN]
    )
    more = len(imported.quarantine) - _SHOWN
    rest = f"; and {more} more" if more > 0 else ""
    return (
        f"{len(imported.quarantine)} of {imported.report.rows} rows break a rule ({shown}{rest}): "
        "correct them, or import the others with --quarantine"
    )


def _quality_tree(report: QualityReport) -> dict[str, object]:
    return {
        "rows": report.rows,
        "accepted": report.accepted,
        "quarantined": report.quarantined,
        "failed": [
            {
                "category": check.category.value,
                "rule": check.rule.value,
                "field": check.field,
                "rows": check.failed,
            }
            for check in report.failed
        ],
    }
