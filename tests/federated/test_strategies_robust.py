"""Robust rules, on a few hospitals whose numbers fit on paper: one place, steps of a quarter."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federated import updates as storing
from federated.errors import AggregationError
from federated.grid import Grid, squared_norm
from federated.schema import Array
from federated.strategies import STRATEGIES, RobustRule
from federated.strategies.multi_krum import distances
from federated.strategies.norm_bounding import scaled
from federated.updates import Updates

GRID = Grid(2, 1000)


def kept(rows: Sequence[Sequence[int]], weights: Sequence[int] | None = None) -> Updates:
    updates = Updates(len(rows[0]), GRID)
    for row, weight in zip(rows, weights or [1] * len(rows), strict=True):
        updates.add([np.array(row)], weight)
    return updates


def mean_of(name: str, config: dict[str, Any], updates: Updates) -> list[float]:
    rule = STRATEGIES[name]
    assert isinstance(rule, RobustRule)
    found = rule.mean(updates, config).tolist()
    assert isinstance(found, list)
    return found


def test_the_median_is_the_middle_or_the_mean_of_the_middle_two() -> None:
    # places: {4, −8, 900} → 4; {2, 3, 1} → 2; in quarters
    assert mean_of("median", {}, kept([[4, 2], [-8, 3], [900, 1]])) == [1.0, 0.5]
    # {4, −8, 900, 7}: (4 + 7) / 2 / 4; {2, 3, 1, 2} → 2; the weights do not count
    rows = [[4, 2], [-8, 3], [900, 1], [7, 2]]
    assert mean_of("median", {}, kept(rows, [1, 1, 99, 1])) == [1.375, 0.5]


def test_the_trimmed_mean_drops_as_many_at_each_end() -> None:
    # ⌊.25 · 5⌋ = 1: {−900, 1, 2, 3, 900} → (1 + 2 + 3) / 3 / 4
    rows = [[2], [900], [1], [-900], [3]]
    assert mean_of("trimmed-mean", {"trimmed": 0.25}, kept(rows, [1, 9, 1, 9, 1])) == [0.5]
    # ⌊.4 · 5⌋ = 2: the median is left
    assert mean_of("trimmed-mean", {"trimmed": 0.4}, kept([*rows[:4], [4]])) == [0.5]


def test_krum_takes_the_update_with_the_nearest_others() -> None:
    # Points (0, 0), (3, 4), (0, 4), (400, 0), (0, 5), f = 1: the 5 − 1 − 2 = 2 nearest count.
    # Squared distances: 0–1: 25, 0–2: 16, 0–4: 25, 1–2: 9, 1–4: 10, 2–4: 1, to 3: far.
    # Scores: 16 + 25 = 41; 9 + 10 = 19; 1 + 9 = 10; huge; 1 + 10 = 11. Lowest: (0, 4).
    updates = kept([[0, 0], [3, 4], [0, 4], [400, 0], [0, 5]], [1, 1, 1, 99, 1])
    assert distances(updates)[0] == [0, 25, 16, 160000, 25]
    assert mean_of("krum", {"f": 1}, updates) == [0.0, 1.0]
    # The two lowest are (0, 4) and (0, 5): (0, 4.5) / 4.
    assert mean_of("multi-krum", {"f": 1, "m": 2}, updates) == [0.0, 1.125]


def test_of_equal_scores_krum_takes_the_lower_index() -> None:
    # 0, 4, 8 with f = 0: the one nearest counts, and all are 16 away from it.
    assert mean_of("krum", {"f": 0}, kept([[8], [4], [0]])) == [2.0]


def test_the_geometric_median_takes_the_iterations_on_paper() -> None:
    config = {"iterations": 1, "smoothing": 0.25}
    # Weights 2, 1, 1 at 0, 0, 40: the mean is 10. Distances 10, 10, 30; 2/10 + 1/10 + 1/30 = 1/3:
    # shares .6, .3, .1; the point is 4, in quarters 1.
    updates = kept([[0], [0], [40]], [2, 1, 1])
    assert mean_of("geometric-median", config, updates) == pytest.approx([1.0], abs=1e-12)
    # From 4: distances 4, 4, 36; 2/4 + 1/4 + 1/36 = 28/36; 40 · (1/28) = 10/7, in quarters.
    found = mean_of("geometric-median", config | {"iterations": 2}, updates)
    assert found == pytest.approx([10 / 28], abs=1e-12)


def test_smoothing_bounds_the_weight_of_an_update_at_the_point() -> None:
    # 0, 0, 4, 0 of weight 1 begin at 1; distances 1, 1, 3, 1; 3 + 1/3: the point is .4, on the grid
    # 0. Distances 0 count as one step: 1, 1, 1/4, 1; 4 · (.25 / 3.25), in quarters.
    found = mean_of(
        "geometric-median", {"iterations": 2, "smoothing": 0.25}, kept([[0], [0], [4], [0]])
    )
    assert found == pytest.approx([1 / 13], abs=1e-12)


def test_norm_bounding_scales_what_is_too_long_and_nothing_else() -> None:
    # Norms 5, 10, 500; the median is 10: (300, −400) is scaled by 1/50 to (6, −8), weight 2.
    # q = ⌊2³¹ / 50⌋ is rounded down, and so are 5.99… and 7.99…: (5, −7).
    # ((3, 4) · 1 + (−6, 8) · 1 + (5, −7) · 2) / 4 / 4 = (7, −2) / 16.
    updates = kept([[3, 4], [-6, 8], [300, -400]], [1, 1, 2])
    assert mean_of("norm-bounding", {"norm": "median"}, updates) == [7 / 16, -2 / 16]
    # A bound of 1.25, five steps: (3, 4) stays, (−6, 8) is halved exactly, (300, −400) is scaled by
    # 1/100 to (2, −3): ((3, 4) + (−3, 4) + 2 · (2, −3)) / 16.
    assert mean_of("norm-bounding", {"norm": 1.25}, updates) == [4 / 16, 2 / 16]


@given(
    st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=6),
    st.integers(0, 2**31 - 1),
)
def test_scaling_is_that_of_whole_numbers_without_overflow(values: list[int], factor: int) -> None:
    found = scaled(np.array(values, dtype=np.int64), factor).tolist()
    wanted = [(1 if v >= 0 else -1) * (abs(v) * factor >> 31) for v in values]
    assert found == wanted


@given(st.data())
def test_no_update_is_longer_than_the_bound(data: st.DataObject) -> None:
    row = data.draw(st.lists(st.integers(-400, 400), min_size=4, max_size=4))
    updates = kept([row, [1, 0, 0, 0], [0, 0, 0, 0]])
    result = mean_of("norm-bounding", {"norm": 2.5}, updates)
    steps = [round(value * 3 * 4) for value in result]
    steps[0] -= 1
    assert squared_norm(np.array(steps)) <= 10**2


RULES: list[tuple[str, dict[str, Any], int]] = [
    ("median", {}, 3),
    ("trimmed-mean", {"trimmed": 0.2}, 5),
    ("trimmed-mean", {"trimmed": 0.004}, 250),
    ("krum", {"f": 1}, 5),
    ("multi-krum", {"f": 1, "m": 2}, 5),
    ("multi-krum", {"f": 1, "m": 7}, 10),
    ("geometric-median", {"iterations": 3, "smoothing": 1e-6}, 3),
    ("norm-bounding", {"norm": "median"}, 3),
    ("norm-bounding", {"norm": 0.5}, 1),
]


@pytest.mark.parametrize(("name", "config", "least"), RULES)
def test_a_rule_refuses_fewer_updates_than_it_needs(
    name: str, config: dict[str, Any], least: int
) -> None:
    STRATEGIES[name].check(config)
    updates = kept([[value] for value in range(least)])
    assert math.isfinite(mean_of(name, config, updates)[0])
    if least > 1:
        fewer = kept([[value] for value in range(least - 1)])
        with pytest.raises(AggregationError, match=f"{name} needs at least {least}"):
            mean_of(name, config, fewer)


@pytest.mark.parametrize(("name", "config", "least"), RULES)
@pytest.mark.parametrize("bits", [(8, 2000), (40, 1 << 50)])
def test_how_updates_are_cut_into_segments_does_not_show(
    name: str, config: dict[str, Any], least: int, bits: tuple[int, int], monkeypatch: Any
) -> None:
    source, grid = np.random.default_rng(5), Grid(*bits)
    count = max(7, least)
    rows: list[Array] = [
        source.integers(-grid.bound // 40, grid.bound // 40, 33) for _ in range(count)
    ]
    found = []
    for elements in (1 << 18, count, 5 * count):
        monkeypatch.setattr(storing, "_SEGMENT", elements)
        updates = Updates(33, grid)
        for index, row in enumerate(rows):
            updates.add(iter([row[:7], row[7:]]), 1 + index % 3)
        found.append(mean_of(name, config, updates))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    "name", [n for n, rule in STRATEGIES.items() if isinstance(rule, RobustRule)]
)
def test_equal_updates_are_their_own_mean(name: str) -> None:
    config = next(config for rule, config, _ in RULES if rule == name)
    found = mean_of(name, config, kept([[4, -8, 2]] * 7, [3, 1, 4, 1, 5, 9, 2]))
    assert found == pytest.approx([1.0, -2.0, 0.5], abs=1e-12)


def test_a_liar_of_most_weight_moves_only_rules_that_count_weights() -> None:
    """Weights are the hospitals' word, up to `grid.max_weight`: a study bounds them there."""
    updates = kept([[0], [0], [40], [4]], [1, 1, 20, 1])
    assert mean_of("median", {}, updates) == [0.5]
    assert mean_of("geometric-median", {"iterations": 8, "smoothing": 1e-6}, updates)[0] > 9.9


def test_updates_are_kept_under_no_name_for_nobody_else(tmp_path: Path) -> None:
    updates = Updates(3, GRID, tmp_path)
    updates.add([np.array([1, 2, 3])], 1)
    assert list(tmp_path.iterdir()) == []
    status = os.fstat(updates._spool._file.fileno())
    assert (stat.S_IMODE(status.st_mode), status.st_size) == (0o600, 12)


@pytest.mark.parametrize(
    "segments", [[[1, 2]], [[1, 2, 3], [4]], [[1, 2, 1001]], [[1, 2, -(2**40)]]]
)
def test_an_update_that_does_not_fit_is_not_kept(segments: list[list[int]]) -> None:
    updates = kept([[1, 2, 3], [4, 5, 6]])
    with pytest.raises(AggregationError):
        updates.add([np.array(segment) for segment in segments], 1)
    updates.add([np.array([7, 8, 9])], 1)
    ((_, values),) = updates.segments()
    assert values.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


@pytest.mark.parametrize("weight", [0, -3])
def test_an_update_without_weight_is_not_kept(weight: int) -> None:
    with pytest.raises(AggregationError, match="weight"):
        Updates(1, GRID).add([np.array([1])], weight)


def test_a_rule_without_updates_says_so() -> None:
    with pytest.raises(AggregationError, match="nothing was added"):
        next(Updates(3, GRID).segments())


def test_a_folder_without_room_is_named() -> None:
    """/dev/full is what the kernel gives for a disk without room."""
    updates = Updates(3, GRID)
    with open("/dev/full", "r+b", buffering=0) as full:  # noqa: PTH123
        updates._spool._file.close()
        updates._spool._file = full
        with pytest.raises(AggregationError, match="No space left on device"):
            updates.add([np.array([1, 2, 3])], 1)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AggregationError, match="nowhere"):
        Updates(3, GRID, tmp_path / "nowhere")
