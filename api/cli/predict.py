"""`consilium predict`: what a study's model makes of one patient, in the hospital."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.bedside.text import lines_of
from api.cli.hospital_node import hospital
from api.cli.options import AsJson
from api.cli.show import json_object, say
from api.errors import ApiError

if TYPE_CHECKING:
    from chain.types import Address
    from federated.hospital.bedside import Bedside
    from federated.spec import StudySpec
    from records.case import Case


def predict(
    case: Annotated[
        Path, typer.Argument(help="CSV or JSON of the dictionary's fields, or a PNG for X-rays.")
    ],
    study: Annotated[
        int | None, typer.Option(min=1, help="The study's number; else the newest.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Write here what speaks for and against, on the X-ray.")
    ] = None,
    fit: Annotated[
        bool, typer.Option("--fit", help="Scale the middle of a larger or coloured X-ray.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a study's model makes of a case: a reference, never a verdict.

    The hospital's personal model answers where there is one, else the global one. A CSV has the
    dictionary's fields as its header and one row a case; in JSON null stands for what is not known.
    Nothing of a case is kept.

    Example: consilium --home homes/north predict case.csv --study 1
    """
    from api.bedside.tree import everyone, tree_of  # torch takes seconds: errors come first
    from api.cli.values import names_of, study_of
    from federated.hospital.bedside import open_bedside
    from federated.hospital.predict import predict as predict_cases
    from federated.hospital.predict import read_file_of_cases
    from federated.tasks import task_of

    with hospital() as (home, node):
        found = study_of(node.party, study)
        if picture is not None:
            _check_picture(case, picture, found.spec)
        cases = read_file_of_cases(case, found.spec, fit=fit)
        bedside = open_bedside(node, found.number, home.path / "personal")
        accounts = everyone(bedside)
        names = dict(zip(accounts, names_of(node.party, accounts), strict=True))
    if not task_of(found.spec.task).counted:
        _answer(bedside, cases, names, as_json=as_json)
        return
    predictions = predict_cases(bedside, cases)
    tree = tree_of(bedside, predictions, names)
    if picture is not None:
        from api.bedside.picture import picture_of

        _write(picture, picture_of(bedside, predictions[0], tree))
    if as_json:
        json_object(tree)
        return
    for line in lines_of(tree):
        say(line)


def _answer(
    bedside: Bedside, cases: Sequence[Case], names: dict[Address, str], *, as_json: bool
) -> None:
    from api.bedside.task_text import task_lines_of
    from api.bedside.task_tree import task_tree_of
    from federated.hospital.predict_task import predict_task

    tree = task_tree_of(bedside, predict_task(bedside, cases), names)
    if as_json:
        json_object(tree)
        return
    for line in task_lines_of(tree):
        say(line)


def _check_picture(case: Path, picture: Path, spec: StudySpec) -> None:
    if spec.task != "binary":
        raise ApiError(f"--picture: it shows one label's parts, and this study is {spec.task}")
    if not spec.data.features[0].shape:
        raise ApiError("--picture: this study reads numbers, not pictures; leave it out")
    if picture.exists() and case.exists() and picture.samefile(case):
        raise ApiError(f"--picture: {picture} is the case itself; name another file")


def _write(path: Path, data: bytes) -> None:
    """It shows a patient's X-ray: mode 600, whole or not at all."""
    beside = path.with_name(f".{path.name}.new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    beside.replace(path)
