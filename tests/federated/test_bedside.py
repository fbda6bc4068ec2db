"""What a prediction is said to rest on, worked out by hand where that can be done."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from federated.bedside.calibrate import Few, band_of, calibrate
from federated.bedside.choose import Choice as Chosen
from federated.bedside.choose import Kind, choose
from federated.bedside.explain import TOLERANCE, explain, integrated_gradients
from federated.bedside.overlay import AGAINST, FOR, Legend, overlay
from federated.bedside.reading import Reader
from federated.bedside.similar import beyond, distances, nearest, own_nearest, reach
from federated.bedside.tune import fine_tune, head_of
from federated.errors import ExplanationError
from federated.evaluation.disclosure import enough
from federated.metrics import log_loss
from federated.models import initial_parameters
from federated.networks import probabilities
from federated.spec import Choice, StudySpec, Training
from federated.studies import pneumonia_spec, wisconsin_spec
from federated.tasks import task_of
from federated.tasks.reading import loss_on
from federated.training import fit, shuffles

ON_PAPER = {
    "out.weight": np.array([[2.0, -0.5]], dtype=np.float32),
    "out.bias": np.array([0.25], dtype=np.float32),
}


def paper(spec: StudySpec) -> Reader:
    return Reader.of(ON_PAPER, spec)


def test_a_linear_explanation_is_coefficient_times_distance_from_the_mean(spec: StudySpec) -> None:
    found = explain(paper(spec), np.array([1.5, 1.0]), np.array([0.5, -1.0]))
    assert found.parts.tolist() == [2.0 * 1.0, -0.5 * 2.0]
    assert found.log_odds == 2.0 * 1.5 - 0.5 * 1.0 + 0.25
    assert found.reference == 2.0 * 0.5 + 0.5 * 1.0 + 0.25
    assert found.gap == 0.0
    assert found.steps == 0


@given(st.lists(st.floats(-2, 2, width=32), min_size=4, max_size=4))
def test_parts_of_a_linear_model_sum_to_the_difference(values: list[float]) -> None:
    case, reference = np.array(values[:2]), np.array(values[2:])
    found = explain(Reader.of(ON_PAPER, wisconsin_spec()), case, reference)
    assert math.fsum(found.parts) == pytest.approx(found.log_odds - found.reference, abs=1e-12)


def images(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Scaled noise of 28 × 28; those with a bright lower half are positive."""
    order = np.random.Generator(np.random.Philox(key=seed))
    labels = np.arange(count) % 2
    grid = order.normal(0, 0.5, (count, 28, 28))
    grid[:, 14:] += labels[:, None, None]
    return grid.reshape(count, -1).astype(np.float32), labels.astype(np.float32)


def _network(family: str) -> tuple[Reader, np.ndarray]:
    spec = pneumonia_spec()
    if family == "mlp":
        spec = replace(spec, model=Choice("mlp", {"hidden": [12, 6]}))
    if family == "resnet":
        spec = replace(spec, model=Choice("resnet", {"channels": [4, 8], "blocks": 1}))
    inputs, labels = images(80)
    training = Training(2, 16, learning_rate=0.03, momentum=0.9)
    order = shuffles(1, "test", 1)
    learned = fit(initial_parameters(spec), inputs, labels, spec, training, order)
    return Reader.of(learned, spec), inputs


@pytest.fixture(scope="module", params=["cnn", "mlp", "resnet"])
def network(request: pytest.FixtureRequest) -> tuple[Reader, np.ndarray]:
    return _network(request.param)


def test_integrated_gradients_are_complete(network: tuple[Reader, np.ndarray]) -> None:
    reader, inputs = network
    reference = inputs.mean(axis=0, dtype=np.float64)
    for case in inputs[:4]:
        found = explain(reader, case, reference)
        whole = found.log_odds - found.reference
        assert abs(whole) > 0.05  # else a model that learned nothing would pass
        assert found.steps > 0
        assert math.fsum(found.parts) == pytest.approx(whole + found.gap)
        assert abs(found.gap) <= TOLERANCE * max(1.0, abs(whole))


def test_integrated_gradients_of_a_linear_model_are_the_exact_parts(spec: StudySpec) -> None:
    reader, case, reference = paper(spec), np.array([1.5, 1.0]), np.array([0.5, -1.0])
    exact = explain(reader, case, reference)
    found = integrated_gradients(reader, case, reference, exact.reference, exact.log_odds)
    assert found.parts == pytest.approx(exact.parts)


def test_a_jump_on_the_way_gives_no_explanation_rather_than_a_wrong_one() -> None:
    spec = pneumonia_spec()
    config = {**spec.model.config, "standardise": True}
    spec = replace(spec, model=replace(spec.model, config=config))
    reader = Reader.of(initial_parameters(spec), spec)
    case = images(1)[0][0].astype(np.float64)
    with pytest.raises(ExplanationError, match="do not sum"):
        explain(reader, case, np.zeros(784))  # a grey picture has no contrast to standardise


def test_the_last_layer_of_a_linear_model_is_its_inputs(spec: StudySpec) -> None:
    inputs = np.array([[0.5, 1.0], [-1.0, 2.0]])
    assert (paper(spec).last_layer(inputs) == inputs).all()


def test_the_output_reads_the_last_layer(network: tuple[Reader, np.ndarray]) -> None:
    reader, inputs = network
    weight, bias = reader.tensors["out.weight"].numpy(), reader.tensors["out.bias"].numpy()
    read = reader.last_layer(inputs[:5]) @ weight.T + bias
    assert read[:, 0] == pytest.approx(reader.log_odds(inputs[:5]))


def test_a_reader_says_what_the_network_says(network: tuple[Reader, np.ndarray]) -> None:
    reader, inputs = network
    single = {name: t.numpy().astype(np.float32) for name, t in reader.tensors.items()}
    found = probabilities(single, inputs, reader.spec)
    assert reader.chances(inputs) == pytest.approx(found, abs=1e-5)


def test_too_few_validation_patients_fit_no_calibration() -> None:
    odds = np.linspace(-2, 2, 40)
    assert calibrate(odds[:19], (np.arange(19) > 9).astype(float)) is None
    assert calibrate(odds, (np.arange(40) >= 36).astype(float)) is None


def test_few_of_the_rarer_label_fit_a_slope_alone_and_enough_fit_both() -> None:
    odds = np.linspace(-2, 2, 60)
    few = calibrate(odds, (np.arange(60) >= 50).astype(float))
    enough = calibrate(odds, (np.arange(60) >= 30).astype(float))
    assert few is not None
    assert enough is not None
    assert (few.method, few.shift, few.patients) == ("temperature", 0.0, 60)
    assert enough.method == "platt"


def test_a_model_that_is_too_sure_is_calibrated_to_what_happened() -> None:
    """Odds of ±4 (98 %) where 3 in 4 were right; Platt's targets are 31/32 and 1/32 of a class."""
    odds = np.repeat([4.0, -4.0], 40)
    labels = np.tile([1.0, 1.0, 1.0, 0.0], 10)
    labels = np.concatenate([labels, 1 - labels])
    found = calibrate(odds, labels)
    assert found is not None
    high, low = 41 / 42, 1 / 42
    assert found.chance(4.0) == pytest.approx(0.75 * high + 0.25 * low, abs=1e-6)
    assert found.chance(-4.0) == pytest.approx(0.25 * high + 0.75 * low, abs=1e-6)
    assert found.shift == pytest.approx(0, abs=1e-6)


def test_a_model_that_orders_patients_wrongly_is_not_calibrated() -> None:
    odds = np.linspace(2, -2, 60)
    assert calibrate(odds, (np.arange(60) >= 30).astype(float)) is None


@pytest.mark.parametrize(
    ("positive", "negative", "few"),
    [
        (6, 7, Few.NOBODY),
        (2, 2, Few.PATIENTS),
        (4, 3, Few.BOTH),
        (9, 1, Few.NEGATIVE),
        (0, 9, Few.POSITIVE),
    ],
)
def test_no_number_of_fewer_than_five_people_is_shown(
    positive: int, negative: int, few: Few
) -> None:
    labels = np.array([1.0] * positive + [0.0] * negative + [1.0] * 50)
    scores = np.array([0.62] * (positive + negative) + [0.95] * 50)
    band = band_of(0.6, scores, labels)
    assert band.few is few
    if few is Few.NOBODY:
        assert (band.patients, band.positive) == (13, 6)
        assert band.share is not None
        assert band.share.value == pytest.approx(6 / 13)
    else:
        assert band.positive is None
        assert band.share is None
        assert band.patients == (None if few is Few.PATIENTS else positive + negative)


def test_the_nearest_come_first_and_ties_in_order() -> None:
    found = distances(np.array([0.0, 0.0]), np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 1.0]]))
    assert found.tolist() == [5.0, 1.0, 1.0]
    assert nearest(found, 2) == [1, 2]


def test_nearest_others_are_those_of_all_pairs() -> None:
    patients = np.random.Generator(np.random.Philox(key=2)).normal(size=(300, 3))
    pairs = np.linalg.norm(patients[:, None] - patients[None], axis=2)
    np.fill_diagonal(pairs, np.inf)
    assert own_nearest(patients) == pytest.approx(pairs.min(axis=1), abs=1e-6)


def test_a_case_is_far_beyond_the_99th_percentile_of_nearest_distances() -> None:
    patients = np.array([[float(i)] for i in range(30)] + [[40.0]])
    between = own_nearest(patients)
    assert sorted(between)[-2:] == [1.0, 11.0]
    limit = float(np.percentile(between, 99))
    near, far = (reach(np.array([x]), patients, between) for x in (29.5, 40.0 + limit + 0.1))
    assert near is not None
    assert far is not None
    assert (near.nearest, near.usual, near.far) == (0.5, 1.0, False)
    assert far.far


def test_too_few_patients_cannot_say_what_is_far() -> None:
    patients = np.arange(19.0)[:, None]
    assert reach(np.array([99.0]), patients, own_nearest(patients)) is None


def test_a_field_outside_of_all_patients_is_named_with_its_side() -> None:
    patients = np.array([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]])
    assert beyond(np.array([-0.1, 1.5, 3.1]), patients).tolist() == [-1, 0, 1]


LABELS = np.tile([1.0, 0.0], 20)


def chosen(odds: dict[Kind, np.ndarray], labels: np.ndarray, *, may: bool = True) -> Chosen:
    task, spec = task_of("binary"), wisconsin_spec()
    losses = {kind: task.losses(labels, found, spec) for kind, found in odds.items()}
    return choose(losses, len(labels), enough=may, lost=task.lost)


def odds_of(size: float) -> np.ndarray:
    return np.where(LABELS == 1, size, -size)


def test_a_tie_keeps_the_global_model() -> None:
    same = odds_of(1.0)
    assert chosen(dict.fromkeys(Kind, same), LABELS).kept is Kind.GLOBAL


def test_a_model_that_is_surely_better_is_kept_and_by_how_much_is_said() -> None:
    found = chosen({Kind.GLOBAL: odds_of(1.0), Kind.TUNED: odds_of(2.0)}, LABELS)
    assert found.kept is Kind.TUNED
    wanted = math.log1p(math.exp(-1)) - math.log1p(math.exp(-2))
    assert found.judged[1].lead == pytest.approx(wanted)
    assert found.judged[1].error == pytest.approx(0, abs=1e-12)


def test_a_lead_that_chance_explains_keeps_the_global_model() -> None:
    shaky = odds_of(1.0)
    shaky[:2] += np.array([3.0, -3.0])  # one patient of each label decides it
    shaky[2:4] -= np.array([1.0, -1.0])  # and one of each speaks against it, less
    shaky[4:6] += np.array([2.0, -2.0])
    shaky[6:8] -= np.array([0.5, -0.5])
    found = chosen({Kind.GLOBAL: odds_of(1.0), Kind.OWN: shaky}, LABELS)
    lead, error = found.judged[1].lead, found.judged[1].error
    assert 0 < lead < error
    assert found.kept is Kind.GLOBAL


def test_too_few_of_a_label_keep_the_global_model_however_much_better_another_is() -> None:
    labels = np.array([1.0] * 4 + [0.0] * 40)
    odds = {Kind.GLOBAL: np.zeros(44), Kind.OWN: np.where(labels == 1, 9.0, -9.0)}
    found = chosen(odds, labels, may=enough(labels))
    assert found.kept is Kind.GLOBAL
    assert "fewer than 5" in found.why


def test_further_training_is_deterministic_and_never_worse_on_validation_records() -> None:
    spec = wisconsin_spec()
    order = np.random.Generator(np.random.Philox(key=5))
    inputs = order.normal(size=(60, 30)).astype(np.float32)
    labels = (inputs[:, 0] > 0).astype(np.float32)
    start = initial_parameters(spec)
    records = (inputs[:40], labels[:40]), (inputs[40:], labels[40:])
    first, again = (fine_tune(start, *records, spec, hospital="north") for _ in range(2))
    other = fine_tune(start, *records, spec, hospital="harbor")
    assert all((first[name] == again[name]).all() for name in first)
    assert any((first[name] != other[name]).any() for name in first)

    def loss(parameters: dict[str, np.ndarray]) -> int:
        return log_loss(records[1][1], probabilities(parameters, records[1][0], spec))

    assert loss(first) < loss(start)
    wrong = (records[0][0], 1 - records[0][1]), records[1]
    assert loss(fine_tune(first, *wrong, spec, hospital="north")) <= loss(first)


@pytest.mark.parametrize("normalise", ["batch", "layer"])
def test_an_own_head_learns_and_what_it_reads_stays(normalise: str) -> None:
    config = {"hidden": [8], "normalise": normalise}
    spec = replace(wisconsin_spec(), model=Choice("mlp", config))
    order = np.random.Generator(np.random.Philox(key=6))
    labels = np.arange(60, dtype=np.float32) % 2
    inputs = (order.normal(size=(60, 30)) + labels[:, np.newaxis]).astype(np.float32)
    start = initial_parameters(spec)
    records = (inputs[:40], labels[:40]), (inputs[40:], labels[40:])
    head = head_of(start)
    assert head == {"out.bias", "out.weight"}
    found = fine_tune(start, *records, spec, hospital="north", only=head)
    moved = {name for name in start if (found[name] != start[name]).any()}
    assert moved == head
    assert loss_on(found, records[1], spec) < loss_on(start, records[1], spec)


def test_of_one_layer_an_own_head_would_be_all_of_it() -> None:
    assert head_of(initial_parameters(wisconsin_spec())) is None


def test_what_speaks_for_is_orange_and_what_speaks_against_is_blue() -> None:
    levels = np.full((8, 8), 200)
    parts = np.zeros((8, 8))
    parts[1:3, 1:3], parts[5:7, 5:7] = 1.0, -1.0
    data = overlay(levels, parts, Legend("title", "for it", "against it", ("a line",)))
    sheet = np.asarray(Pillow.open(io.BytesIO(data)).convert("RGB")).astype(int)
    side = (sheet.shape[1] - 3 * 24) // 2
    shown = sheet[68 : 68 + side, 48 + side : 48 + 2 * side]
    at: Callable[[int], np.ndarray] = lambda place: shown[  # noqa: E731
        place * side // 8, place * side // 8
    ]
    assert np.abs(at(2) - FOR).sum() < np.abs(at(2) - AGAINST).sum()
    assert np.abs(at(6) - AGAINST).sum() < np.abs(at(6) - FOR).sum()
    assert len(set(at(4))) == 1  # no colour where nothing speaks
    assert at(4)[0] > 200  # lightened
