"""A small study that most tests start from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from federated.codec import Address
from federated.spec import Data, Feature, GridTerms, Label, StudySpec, Training
from federated.studies import wisconsin_spec


@pytest.fixture
def spec() -> StudySpec:
    """Two features, a grid of quarters, a clip norm of 2: numbers that fit on paper."""
    return replace(
        wisconsin_spec(auditors=[Address("0x" + "a1" * 20)], hospitals=3, min_hospitals=2),
        data=Data(
            dictionary="paper/1",
            features=(Feature("age", "a", 0.0, 120.0), Feature("dose", "mg", -4.0, 4.0)),
            label=Label("outcome", "yes", "no"),
        ),
        grid=GridTerms(clip_norm=2.0, grid_bits=2, max_weight=100),
        training=Training(epochs=1, batch_size=8, learning_rate=0.5),
    )
