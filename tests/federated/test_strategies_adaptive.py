"""Server optimisers, on two hospitals whose numbers fit on paper."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from federated.aggregate import WeightedSum
from federated.errors import TensorSchemaError
from federated.grid import Grid
from federated.models import parameter_schema
from federated.schema import Array
from federated.spec import Choice, StudySpec
from federated.state import (
    GlobalState,
    decode_state,
    encode_state,
    initial_state,
    next_state,
    state_digest,
)

CONFIG = {"learning_rate": 0.5, "beta1": 0.5, "beta2": 0.625, "tau": 1.0}


def study(spec: StudySpec, name: str, **config: float) -> StudySpec:
    """A clip of 8 on a grid of quarters."""
    return replace(
        spec, strategy=Choice(name, config), grid=replace(spec.grid, clip_norm=8.0, grid_bits=2)
    )


def after(spec: StudySpec, state: GlobalState, one: list[int], other: list[int]) -> GlobalState:
    """The state after a round of two hospitals: weights 1 and 3, updates in quarters."""
    total = WeightedSum(parameter_schema(spec), Grid.of(spec.grid))
    total.add([np.array(one)], 1)
    total.add([np.array(other)], 3)
    return next_state(spec, state, total.mean(), state.round_number + 1)


def begin(spec: StudySpec) -> GlobalState:
    zeros: dict[str, Array] = {
        "out.bias": np.zeros(1, dtype=np.float32),
        "out.weight": np.zeros((1, 2), dtype=np.float32),
    }
    return replace(initial_state(spec), parameters=zeros)


def test_fedadam_takes_the_steps_on_paper(spec: StudySpec) -> None:
    adam = study(spec, "fedadam", **CONFIG)
    # mean of the bias: (1·0 + 3·16) / (4·4) = 3; m = .5·0 + .5·3 = 1.5; v = .625·1 + .375·9 = 4;
    # .5·1.5 / (2 + 1) = .25. Where the mean is 0, m = 0 and v = .625: the model stays.
    first = after(adam, begin(adam), [0, 0, 0], [16, 0, 0])
    assert first.parameters["out.bias"].tolist() == [0.25]
    assert first.parameters["out.weight"].tolist() == [[0.0, 0.0]]
    assert first.server["m"]["out.bias"].tolist() == [1.5]
    assert first.server["v"]["out.bias"].tolist() == [4.0]
    assert first.server["v"]["out.weight"].tolist() == [[0.625, 0.625]]
    # The next mean is 0: m = .75, v = .625·4 = 2.5; the model goes on by .5·.75 / (√2.5 + 1).
    second = after(adam, first, [0, 0, 0], [0, 0, 0])
    assert second.server["m"]["out.bias"].tolist() == [0.75]
    assert second.server["v"]["out.bias"].tolist() == [2.5]
    assert second.parameters["out.bias"][0] == pytest.approx(0.25 + 0.375 / 2.5811388)


def test_fedyogi_takes_the_step_on_paper(spec: StudySpec) -> None:
    yogi = study(spec, "fedyogi", **CONFIG | {"beta2": 0.6875, "learning_rate": 0.625})
    # The bias: mean (1·8 + 3·8) / 16 = 2; m = 1; v = 1 − .3125·4·sign(1 − 4) = 2.25;
    # .625·1 / (1.5 + 1) = .25. The first weight: mean (1·(−8) + 3·0) / 16 = −.5; m = −.25;
    # v = 1 − .3125·.25·sign(1 − .25) = .921875; −.15625 / (.9601432 + 1) = −.0797136.
    end = after(yogi, begin(yogi), [8, -8, 0], [8, 0, 0])
    assert end.parameters["out.bias"].tolist() == [0.25]
    assert end.server["v"]["out.bias"].tolist() == [2.25]
    assert end.server["v"]["out.weight"].tolist() == [[0.921875, 1.0]]
    assert end.parameters["out.weight"][0, 0] == pytest.approx(-0.0797136, abs=1e-7)


def test_fedadagrad_takes_the_step_on_paper(spec: StudySpec) -> None:
    adagrad = study(spec, "fedadagrad", learning_rate=0.75, beta1=0.5, tau=1.0)
    # The bias: mean (1·0 + 3·4) / 16 = .75; m = .375; v = 1 + .5625 = 1.5625 = 1.25²;
    # .75·.375 / (1.25 + 1) = .125.
    end = after(adagrad, begin(adagrad), [0, 0, 0], [4, 0, 0])
    assert end.parameters["out.bias"].tolist() == [0.125]
    assert end.server["v"]["out.bias"].tolist() == [1.5625]


@pytest.mark.parametrize("name", ["fedadam", "fedyogi", "fedadagrad"])
def test_moments_are_part_of_the_state_and_travel_with_it(spec: StudySpec, name: str) -> None:
    config = {key: CONFIG[key] for key in CONFIG if (name, key) != ("fedadagrad", "beta2")}
    moving = study(spec, name, **config)
    end = after(moving, begin(moving), [1, 2, -3], [-4, 5, 6])
    again = decode_state(moving, encode_state(moving, end))
    assert state_digest(moving, again) == state_digest(moving, end)
    v = {key: array * 2 for key, array in end.server["v"].items()}
    other = replace(end, server={**end.server, "v": v})
    assert state_digest(moving, other) != state_digest(moving, end)
    with pytest.raises(TensorSchemaError, match="server state"):
        decode_state(replace(spec, grid=moving.grid), encode_state(moving, end))
