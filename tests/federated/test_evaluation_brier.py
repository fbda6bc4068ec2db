"""The parts of a Brier score: on paper, and beside scikit-learn's isotonic regression."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss

from federated.evaluation.brier import brier, isotonic, parts
from federated.schema import Array

ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=60)


def arrays(rows: list[tuple[bool, int]]) -> tuple[Array, Array]:
    labels = np.array([float(label) for label, _ in rows])
    return labels, np.array([score / 9 for _, score in rows])


def test_the_parts_are_those_on_paper() -> None:
    # Said .2 .2 .6 .6 where one of the first two and both of the last have it: corrected, .5 and 1.
    labels, chances = np.array([1.0, 0.0, 1.0, 1.0]), np.array([0.2, 0.2, 0.6, 0.6])
    assert brier(labels, chances) == pytest.approx((0.64 + 0.04 + 0.16 + 0.16) / 4)
    found = parts(labels, chances)
    assert found.uncertainty == pytest.approx(0.75 * 0.25)
    assert found.miscalibration == pytest.approx(0.25 - 0.125)
    assert found.discrimination == pytest.approx(0.1875 - 0.125)


@given(ROWS)
def test_the_parts_add_up_to_the_score(rows: list[tuple[bool, int]]) -> None:
    labels, chances = arrays(rows)
    found = parts(labels, chances)
    score = found.miscalibration - found.discrimination + found.uncertainty
    assert score == pytest.approx(brier(labels, chances), abs=1e-12)
    assert brier(labels, chances) == pytest.approx(brier_score_loss(labels, chances))
    assert min(found.miscalibration, found.discrimination, found.uncertainty) >= 0


@given(ROWS)
def test_the_correction_is_scikit_learns(rows: list[tuple[bool, int]]) -> None:
    labels, chances = arrays(rows)
    known = IsotonicRegression().fit_transform(chances, labels)
    assert isotonic(labels, chances) == pytest.approx(known, abs=1e-9)


def test_saying_the_share_to_everybody_neither_errs_nor_tells() -> None:
    labels = np.array([1.0] * 3 + [0.0] * 9)
    found = parts(labels, np.full(12, 0.25))
    assert (found.miscalibration, found.discrimination) == pytest.approx((0, 0))
    assert found.uncertainty == brier(labels, np.full(12, 0.25))


def test_a_model_that_is_sure_and_wrong_is_all_miscalibration() -> None:
    labels = np.array([1.0, 0.0] * 5)
    found = parts(labels, 1 - labels)
    assert found.miscalibration == pytest.approx(1 - 0.25)
    assert found.discrimination == 0
