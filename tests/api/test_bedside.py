"""Predictions for real patients: their parts sum, the far are told, the near are their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from api.bedside.picture import picture_of
from api.bedside.text import lines_of
from api.bedside.tree import REMINDER, tree_of
from chain.types import Address, RoundNumber, StudyId
from federated.bedside.choose import Kind
from federated.bedside.explain import TOLERANCE
from federated.hospital.bedside import Bedside, prepare
from federated.hospital.data import read_file, record_arrays
from federated.hospital.predict import predict, read_file_of_cases
from federated.models import initial_parameters
from federated.provenance import Provenance
from federated.spec import StudySpec
from federated.studies import heart_spec, pneumonia_spec, wisconsin_spec
from federated.study import Study
from federated.training import fit, shuffles
from records import heart, pneumonia, wisconsin
from records.case import Case
from records.cohort import Member
from records.pictures import Image, decode_png, encode_png
from records.sources import HEART, PNEUMONIA
from records.splits import Part, assign
from tests.data_sets import need

Deal = Callable[[Path, int], Mapping[str, Path]]
NOBODY = Address("0x" + "00" * 20)


def bedside_of(spec: StudySpec, file: Path, hospital: str, most: int = 10_000) -> Bedside:
    """All of a hospital's records consent; the model is of its training records alone."""
    records = read_file(file, spec).records[:most]
    fractions = {"validation": spec.split.validation, "test": spec.split.test}
    parts = assign(records, seed=spec.seed, hospital=hospital, **fractions)
    members = [Member(r, i.to_bytes(32, "big"), parts[r.key]) for i, r in enumerate(records)]
    train = record_arrays([m.record for m in members if m.part is Part.TRAIN], spec)
    training = replace(spec.training, epochs=4)
    learned = fit(initial_parameters(spec), *train, spec, training, shuffles(1, hospital, 1))
    study = Study(StudyId(1), spec, spec.digest(), cast(Any, None), NOBODY, (), (NOBODY,))
    origin = Provenance(
        31337, NOBODY, 1, RoundNumber(1), 1, bytes(32), "cid", spec.digest(), (NOBODY,), (), ()
    )
    return prepare(study, origin, (Kind.GLOBAL, None, ""), learned, members)


def held_out(bedside: Bedside) -> list[Case]:
    """Test patients, each named, so that its own record is not similar to it."""
    found = [m.record for m in bedside.members if m.part is Part.TEST]
    return [Case(record.values, key=record.key) for record in found]


@pytest.fixture(scope="module", params=["wisconsin", "heart"])
def numbers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bedside:
    folder = tmp_path_factory.mktemp("records")
    if request.param == "wisconsin":
        return bedside_of(wisconsin_spec(), wisconsin.deal(folder, 1)["north"], "north")
    need(*HEART.values())
    return bedside_of(heart_spec(), heart.deal(folder, 1)["cleveland"], "cleveland")


@pytest.fixture(scope="module")
def xrays(tmp_path_factory: pytest.TempPathFactory) -> Bedside:
    need(PNEUMONIA)
    files = pneumonia.deal(tmp_path_factory.mktemp("xrays"), 1)
    return bedside_of(pneumonia_spec(), files["castle"], "castle", most=500)


def test_parts_of_every_test_patient_sum_exactly(numbers: Bedside) -> None:
    for found in predict(numbers, held_out(numbers)):
        assert found.explanation is not None
        assert found.explanation.steps == 0
        assert abs(found.explanation.gap) < 1e-12
        assert found.score == pytest.approx(1 / (1 + math.exp(-found.explanation.log_odds)))


def test_most_test_patients_lie_within_and_an_impossible_mixture_does_not(
    numbers: Bedside,
) -> None:
    found = predict(numbers, held_out(numbers))
    far = [any(at is not None and at.far for at in x.reaches.values()) for x in found]
    assert np.mean(far) < 0.1
    features = numbers.spec.data.features
    corners = tuple(f.maximum if i % 2 else f.minimum for i, f in enumerate(features))
    mixture = predict(numbers, [Case(corners)])[0]
    assert all(at is not None and at.far for at in mixture.reaches.values())
    assert set(mixture.beyond.tolist()) <= {-1, 0, 1}


def test_similar_cases_are_three_others_the_nearest_first(numbers: Bedside) -> None:
    keys = {member.record.key for member in numbers.members}
    for found, case in zip(predict(numbers, held_out(numbers)), held_out(numbers), strict=True):
        shown = [other.key for other in found.similar]
        assert len(set(shown)) == 3
        assert set(shown) <= keys - {case.key}
        apart = [other.distance for other in found.similar]
        assert apart == sorted(apart)


def test_the_words_say_first_and_last_that_it_is_no_verdict(numbers: Bedside) -> None:
    tree = tree_of(numbers, predict(numbers, held_out(numbers)[:3]), {NOBODY: "north"})
    lines = list(lines_of(tree))
    assert lines[0] == lines[-1] == f"{REMINDER}."
    assert next(iter(tree)) == "reference"
    assert list(tree)[-1] == "reminder"
    assert tree["reference"] == tree["reminder"] == REMINDER
    shown = "\n".join(lines)
    assert shown.count("speaks for") == shown.count("speaks against") == 3
    assert "together" in shown
    assert "hospitals  north" in shown


def test_a_file_is_predicted_as_its_record_is(numbers: Bedside, tmp_path: Path) -> None:
    record = numbers.members[0].record
    names = [feature.name for feature in numbers.spec.data.features]
    path = tmp_path / "case.csv"
    path.write_text(",".join(names) + "\n" + ",".join(map(repr, record.values)) + "\n")
    cases = read_file_of_cases(path, numbers.spec)
    assert [case.values for case in cases] == [record.values]
    assert predict(numbers, cases)[0].score == predict(numbers, [Case(record.values)])[0].score


def test_parts_of_an_x_ray_sum_within_the_tolerance(xrays: Bedside) -> None:
    cases = [Case(m.record.values) for m in xrays.members if m.part is Part.VALIDATION][:6]
    for found in predict(xrays, cases):
        assert found.explanation is not None
        whole = found.explanation.log_odds - found.explanation.reference
        assert abs(math.fsum(found.explanation.parts) - whole) <= TOLERANCE * max(1, abs(whole))


def test_noise_is_no_x_ray_and_an_x_ray_mostly_is(xrays: Bedside) -> None:
    order = np.random.Generator(np.random.Philox(key=3))
    noise = Case((order.integers(0, 256, 784, dtype=np.uint8).tobytes(),))
    assert any(at is not None and at.far for at in predict(xrays, [noise])[0].reaches.values())
    cases = [Case(m.record.values, key=m.record.key) for m in xrays.members][:60]
    found = predict(
        xrays, [c for c, m in zip(cases, xrays.members, strict=False) if m.part is not Part.TRAIN]
    )
    far = [any(at is not None and at.far for at in x.reaches.values()) for x in found]
    assert np.mean(far) <= 0.2


def test_the_picture_shows_the_x_ray_beside_its_parts(xrays: Bedside, tmp_path: Path) -> None:
    record = xrays.members[0].record
    pixels = cast(bytes, record.values[0])
    path = tmp_path / "xray.png"
    path.write_bytes(encode_png(Image((28, 28), pixels)))
    cases = read_file_of_cases(path, xrays.spec)
    found = predict(xrays, cases)
    tree = tree_of(xrays, found, {})
    data = picture_of(xrays, found[0], tree)
    assert data.startswith(b"\x89PNG")
    regions = tree["cases"][0]["explanation"]["parts"]
    assert len(regions) == 9
    whole = found[0].explanation
    assert whole is not None
    assert sum(row["log_odds"] for row in regions) == pytest.approx(math.fsum(whole.parts))
    assert decode_png(path.read_bytes()).pixels == pixels
