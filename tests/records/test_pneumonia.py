"""Images that go to five hospitals: each once, no duplicate, the official test set apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.random import Generator, Philox

from federated.hospital.data import read_file, record_arrays
from federated.studies import pneumonia_spec
from records.importer import Imported, import_csv
from records.pneumonia import HOSPITALS, deal, partition
from records.quality import Rule
from records.sources import PNEUMONIA
from records.splits import Part, assign
from records.store import RecordStore
from tests.data_sets import need


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Imported]:
    need(PNEUMONIA)
    files = deal(tmp_path_factory.mktemp("pneumonia"), seed=1)
    return {name: read_file(path, pneumonia_spec()) for name, path in files.items()}


def test_every_image_is_in_one_hospital_and_duplicates_are_in_none(
    imported: dict[str, Imported],
) -> None:
    records = [record for found in imported.values() for record in found.records]
    learning = [record.values[0] for record in records if not record.held_out]
    assert len(learning) == len(set(learning)) == 4708 + 524 - 18 - 8
    tests = [record for record in records if record.held_out]
    assert len(tests) == 624
    assert sum(record.label for record in tests) == 390
    assert all(not found.quarantine for found in imported.values())


def test_each_hospital_can_learn_and_the_official_test_images_alone_test(
    imported: dict[str, Imported],
) -> None:
    assert tuple(imported) == HOSPITALS
    for name, found in imported.items():
        parts = assign(found.records, seed=1, hospital=name, validation=0.1, test=0.0)
        assert {x.key for x in found.records if parts[x.key] is Part.TEST} == {
            x.key for x in found.records if x.held_out
        }
        labels = [x.label for x in found.records if not x.held_out]
        assert len(labels) >= 50
        assert min(sum(labels), len(labels) - sum(labels)) >= 5


def test_the_seed_moves_the_partition(imported: dict[str, Imported]) -> None:
    labels, held_out = np.array([0, 1] * 500), np.arange(1000) % 5 == 0
    first, again, other = (
        partition(labels, held_out, Generator(Philox(key=seed))) for seed in (1, 1, 2)
    )
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert [len(x) for x in first] != [len(x) for x in other]
    everyone = np.sort(np.concatenate(first))
    assert (everyone == np.arange(1000)).all()


def test_an_image_survives_the_store_and_reaches_the_model(
    tmp_path: Path, imported: dict[str, Imported]
) -> None:
    found = imported["bridge"]
    with RecordStore(tmp_path / "records.sqlite") as store:
        store.replace(found, "pneumonia-mnist/1")
        records = store.records("pneumonia-mnist/1")
    assert records == list(found.records)
    inputs, labels = record_arrays(records, pneumonia_spec())
    assert inputs.shape == (len(records), 784)
    assert labels.sum() == sum(record.label for record in records)
    pixels = np.frombuffer(found.records[0].values[0], np.uint8)  # type: ignore[arg-type]
    assert inputs[0] == pytest.approx((pixels - 127.5) / 63.75)


def test_a_row_whose_picture_is_missing_damaged_or_elsewhere_is_quarantined(
    tmp_path: Path, imported: dict[str, Imported]
) -> None:
    from records.dictionary import Dictionary, Field
    from records.outcomes import Two
    from records.pictures import Image, encode_png

    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "good.png").write_bytes(encode_png(Image((2, 3), bytes(6))))
    (folder / "other.png").write_bytes(encode_png(Image((3, 2), bytes(6))))
    (folder / "text.png").write_text("no picture")
    (tmp_path / "outside.png").write_bytes(encode_png(Image((2, 3), bytes(6))))
    names = ("good.png", "other.png", "text.png", "../outside.png", "none.png", "a\x00b", ".")
    rows = [f"p{i},{name},yes,no" for i, name in enumerate(names)]
    rows += ["p8,,yes,no", "p9,good.png,yes,perhaps"]
    (folder / "records.csv").write_text("\n".join(["patient,x,sick,held_out", *rows]))
    words = Dictionary("images/1", (Field("x", "1", 0, 255, (2, 3)),), Two("sick", "yes", "no"))
    found = import_csv(folder / "records.csv", words)
    assert [record.key for record in found.records] == ["p0"]
    rules = [finding.rule for row in found.quarantine for finding in row.findings]
    assert rules == [Rule.IMAGE] * 6 + [Rule.PRESENT, Rule.HELD_OUT]
