"""PneumoniaMNIST, dealt to five invented hospitals that differ in size and in prevalence.

5,856 chest X-rays of children, 28×28 (J. Yang et al., MedMNIST v2; CC BY 4.0; out of D. Kermany et
al. 2018). The official training and validation images, without exact duplicates, go to hospitals by
a Dirichlet draw over labels; the official test images, all 624, go by the same shares and are held
out.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import NDArray

from records.errors import RecordsError
from records.export import write_csv, write_private
from records.pictures import Image, encode_png
from records.sources import PNEUMONIA, read_source

HOSPITALS = ("abbey", "bridge", "castle", "dune", "elm")
DICTIONARY = "pneumonia-mnist/1"
SIDE = 28
CONCENTRATION = 0.5
LEAST_IMAGES, LEAST_OF_A_CLASS = 50, 5

Array = NDArray[Any]


def deal(folder: Path, seed: int, *, official_test: bool = True) -> dict[str, Path]:
    """Write each hospital's `folder`/HOSPITAL/records.csv and images/KEY.png (mode 600).

    `seed` decides who goes where and every local key. Without `official_test` that split is not
    even read. Raises `DataMissing`.
    """
    images, labels, held_out = _load(official_test)
    order = Generator(Philox(key=seed))
    chosen = partition(labels, held_out, order)
    files = {}
    for name, places in zip(HOSPITALS, chosen, strict=True):
        lines = [["patient", "xray", "finding", "held_out"]]
        for number, place in enumerate(order.permutation(places).tolist(), start=1):
            key = f"{name}-{number:04d}"
            data = encode_png(Image((SIDE, SIDE), images[place].tobytes()))
            write_private(folder / name / "images" / f"{key}.png", data)
            word = "pneumonia" if labels[place] else "normal"
            lines.append([key, f"images/{key}.png", word, "yes" if held_out[place] else "no"])
        files[name] = write_csv(folder / name / "records.csv", lines)
    return files


def partition(labels: Array, held_out: Array, order: Generator) -> list[Array]:
    """Places of each hospital's images.

    Shares of both labels are drawn again until each hospital has at least `LEAST_IMAGES` images to
    learn from, and `LEAST_OF_A_CLASS` of either label.
    """
    count = len(HOSPITALS)
    while True:
        shares = [order.dirichlet([CONCENTRATION] * count) for _ in range(2)]
        learning = [
            _cut(order.permutation(np.flatnonzero((labels == label) & ~held_out)), shares[label])
            for label in range(2)
        ]
        sizes = np.array([[len(part) for part in parts] for parts in learning])  # (2, hospitals)
        if sizes.sum(axis=0).min() >= LEAST_IMAGES and sizes.min() >= LEAST_OF_A_CLASS:
            break
    testing = [
        _cut(order.permutation(np.flatnonzero((labels == label) & held_out)), shares[label])
        for label in range(2)
    ]
    return [np.concatenate(parts) for parts in zip(*learning, *testing, strict=True)]


def _cut(places: Array, shares: Array) -> Sequence[Array]:
    ends = np.floor(np.cumsum(shares)[:-1] * len(places)).astype(np.int64)
    return np.split(places, ends)


def _load(official_test: bool) -> tuple[Array, Array, Array]:
    """Images (n, 28, 28) uint8, labels (n,) of 0 and 1, and which are the official test split."""
    data = read_source(PNEUMONIA)
    names = ("train", "val", "test") if official_test else ("train", "val")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:  # reads what is asked for
            splits = {x: (file[f"{x}_images"], file[f"{x}_labels"][:, 0]) for x in names}
    except (zipfile.BadZipFile, KeyError, ValueError) as exc:
        raise RecordsError(f"{PNEUMONIA.path}: not the archive of PneumoniaMNIST") from exc
    tests = [splits.pop("test")] if official_test else []
    images, labels = (np.concatenate(parts) for parts in zip(*splits.values(), strict=True))
    _, first = np.unique(images.reshape(len(images), -1), axis=0, return_index=True)
    kept = np.sort(first)
    held_out = np.repeat([False, True], [len(kept), sum(len(x) for x, _ in tests)])
    images = np.concatenate([images[kept], *(x for x, _ in tests)])
    labels = np.concatenate([labels[kept], *(y for _, y in tests)]).astype(np.int64)
    return images, labels, held_out
