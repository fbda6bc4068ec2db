"""A study in a folder, as both sides read it, and what each says of its run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from federated.local_work import Records
from federated.schema import Parameters
from federated.spec import StudySpec
from federated.spec_files import read_json

_SPEC, _NAMES = "study.json", "hospitals.json"


@dataclass(frozen=True, slots=True)
class Ran:
    """Seconds of all rounds, and the sum of all hospitals' seconds inside local training."""

    wall_s: float
    train_s: float


def write_study(folder: Path, spec: StudySpec, cohort: Mapping[str, Records]) -> None:
    """The spec, and what each hospital trains on."""
    folder.mkdir(parents=True)
    (folder / _SPEC).write_text(spec.to_json(), "utf-8")
    (folder / _NAMES).write_text(json.dumps(list(cohort)), "utf-8")
    for place, (inputs, labels) in enumerate(cohort.values()):
        np.savez(folder / f"{place}.npz", inputs=inputs, labels=labels)


def read_spec(folder: Path) -> StudySpec:
    """The spec of `write_study`."""
    return read_json((folder / _SPEC).read_text("utf-8"))


def names_in(folder: Path) -> list[str]:
    """The hospitals, in their order."""
    names: list[str] = json.loads((folder / _NAMES).read_text("utf-8"))
    return names


def read_records(folder: Path, place: int) -> Records:
    """What the hospital at that place trains on."""
    with np.load(folder / f"{place}.npz") as arrays:
        return arrays["inputs"], arrays["labels"]


def write_result(folder: Path, ran: Ran, parameters: Parameters) -> None:
    """What a side says: its times and its last global model."""
    np.savez(folder / "model.npz", **parameters)
    (folder / "ran.json").write_text(json.dumps(asdict(ran)), "utf-8")


def read_result(folder: Path) -> tuple[Ran, Parameters]:
    """What `write_result` wrote."""
    with np.load(folder / "model.npz") as arrays:
        parameters = {name: arrays[name] for name in arrays.files}
    return Ran(**json.loads((folder / "ran.json").read_text("utf-8"))), parameters
