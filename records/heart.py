"""UCI Heart Disease: four real hospitals, each with the defects of its own file.

920 visits of 1981 to 1988 (A. Janosi, W. Steinbrunn, M. Pfisterer, R. Detrano; CC BY 4.0), two of
them entered twice. Cleveland writes whole numbers as 63.0, Switzerland writes .7 and 0 for every
unknown cholesterol, unknown values are "?", and the diagnosis is coded 0 to 4.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from records.cleaning import Bounds, Cleaning
from records.errors import RecordsError
from records.export import write_csv
from records.sources import HEART, read_source

ROWS: dict[str, int] = {"cleveland": 303, "hungarian": 294, "switzerland": 123, "va": 200}
"""Rows of each hospital's raw file."""

DICTIONARY = "uci-heart-disease/1"
COLUMNS = (
    *("age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak"),
    *("slope", "ca", "thal", "num"),
)
"""The file's columns in the data set's own names; `num` is the diagnosis."""

CLEANING = Cleaning(
    label_column="num",
    labels={"0": False, "1": True, "2": True, "3": True, "4": True},
    bounds={
        "age": Bounds(0, 120),
        "sex": Bounds(0, 1),
        "cp": Bounds(1, 4),
        "trestbps": Bounds(40, 300, zero_is_missing=True),
        "chol": Bounds(50, 1000, zero_is_missing=True),
        "fbs": Bounds(0, 1),
        "restecg": Bounds(0, 2),
        "thalach": Bounds(30, 250),
        "exang": Bounds(0, 1),
        "oldpeak": Bounds(-5, 10),
        "slope": Bounds(1, 3),
        "ca": Bounds(0, 3),
        "thal": Bounds(3, 7),
    },
)
"""ST depression below 0 is an elevation, coded by some: clamped to no depression."""

GRADES_DICTIONARY = "uci-heart-disease-grades/1"
GRADES = ("0", "1", "2", "3", "4")
"""The diagnosis as it is coded: 0 is none, of a grade above it the publishers say no more.

Hungarian's file has 0 and 1 alone, so its 1 is any grade: it has no place in a study of grades.
"""

GRADES_CLEANING = replace(CLEANING, labels={grade: place for place, grade in enumerate(GRADES)})


def deal(folder: Path, seed: int) -> dict[str, Path]:
    """Write each hospital's raw rows to `folder`/HOSPITAL/records.csv (mode 600), cells untouched.

    Keys number the rows of the raw file. `seed` plays no part: the hospitals are real. Raises
    `DataMissing`.
    """
    del seed
    files = {}
    for name, source in HEART.items():
        lines = read_source(source).decode("ascii").split()
        rows = [line.split(",") for line in lines]
        if len(rows) != ROWS[name] or any(len(row) != len(COLUMNS) for row in rows):
            raise RecordsError(f"{source.path}: not {ROWS[name]} rows of {len(COLUMNS)} cells")
        keyed = [[f"{name}-{number:04d}", *row] for number, row in enumerate(rows, start=1)]
        files[name] = write_csv(folder / name / "records.csv", [["patient", *COLUMNS], *keyed])
    return files
