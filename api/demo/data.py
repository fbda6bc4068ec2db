"""The data sets of the demo: one file a hospital, as its own system would export it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from federated.hospital import HospitalNode
from federated.hospital.node import dictionary_of
from federated.spec import StudySpec
from federated.studies import wisconsin_spec
from records import wisconsin
from records.importer import import_csv

DEAL: Mapping[str, Callable[[Path, int], Mapping[str, Path]]] = {"wisconsin": wisconsin.deal}
SPEC: Mapping[str, Callable[..., StudySpec]] = {"wisconsin": wisconsin_spec}
HOSPITALS: Mapping[str, list[str]] = {"wisconsin": list(wisconsin.SHARES)}


def import_records(node: HospitalNode, file: Path, spec: StudySpec) -> int:
    """A hospital imports its file; returns how many rows were accepted."""
    dictionary = dictionary_of(spec)
    imported = import_csv(file, dictionary)
    node.records.replace(imported, dictionary.name)
    return len(imported.records)
