"""The data sets of the demo: one file a hospital, as its own system would export it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from federated.hospital import HospitalNode
from federated.hospital.data import read_file
from federated.spec import StudySpec
from federated.studies import heart_spec, pneumonia_spec, wisconsin_spec
from records import heart, pneumonia, wisconsin

DEAL: Mapping[str, Callable[[Path, int], Mapping[str, Path]]] = {
    "wisconsin": wisconsin.deal,
    "heart": heart.deal,
    "pneumonia": pneumonia.deal,
}
SPEC: Mapping[str, Callable[..., StudySpec]] = {
    "wisconsin": wisconsin_spec,
    "heart": heart_spec,
    "pneumonia": pneumonia_spec,
}
HOSPITALS: Mapping[str, list[str]] = {
    "wisconsin": list(wisconsin.SHARES),
    "heart": list(heart.ROWS),
    "pneumonia": list(pneumonia.HOSPITALS),
}


def import_records(node: HospitalNode, file: Path, spec: StudySpec) -> int:
    """A hospital imports its file; returns how many rows were accepted."""
    imported = read_file(file, spec)
    node.records.replace(imported, spec.data.dictionary)
    return len(imported.records)
