"""Records as a model reads them, and files as a hospital imports them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from federated.hospital.node import dictionary_of
from federated.inputs import scale
from federated.schema import Array
from federated.spec import StudySpec
from federated.tasks import task_of
from records import heart
from records.cleaning import Cleaning
from records.cohort import Member
from records.importer import Imported, import_csv
from records.record import Record, Value

CLEANING: Mapping[str, Cleaning] = {
    heart.DICTIONARY: heart.CLEANING,
    heart.GRADES_DICTIONARY: heart.GRADES_CLEANING,
}
"""Rules for the files of a dictionary; others are imported as they are."""


def read_file(file: Path, spec: StudySpec) -> Imported:
    """A hospital's file by the study's dictionary, cleaned by its rules. Raises `ImportFailed`."""
    dictionary = dictionary_of(spec)
    return import_csv(file, dictionary, CLEANING.get(dictionary.name))


def arrays(members: Sequence[Member], spec: StudySpec) -> tuple[Array, Array]:
    """Inputs (n, width) float32 and the task's labels, in the order of the records' local keys."""
    return record_arrays([member.record for member in members], spec)


def record_arrays(records: Sequence[Record], spec: StudySpec) -> tuple[Array, Array]:
    """Inputs (n, width) float32 and the task's labels, in the records' order."""
    inputs = values_array([record.values for record in records], spec)
    return inputs, task_of(spec.task).labels([record.label for record in records])


def values_array(rows: Sequence[Sequence[Value]], spec: StudySpec) -> Array:
    """Inputs (n, width) float32 of values in the dictionary's order."""
    return scale(np.array([_numbers(values) for values in rows]), spec)


def _numbers(values: Sequence[Value]) -> Array:
    """One row of a record's values; an image takes as many columns as it has pixels."""
    return np.concatenate(
        [np.frombuffer(x, np.uint8) if isinstance(x, bytes) else [x] for x in values]
    )
