"""The receiver operating characteristic, as the points that draw it."""

from __future__ import annotations

import numpy as np

from federated.schema import Array

Point = tuple[float, float]
"""Share of negatives called positive, share of positives called positive."""


def roc(labels: Array, predicted: Array, *, decimals: int | None = None) -> tuple[Point, ...]:
    """Corners of the curve from (0, 0) to (1, 1); empty without both labels.

    With `decimals` all points are rounded to so many, and the curve no longer tells how many
    records there were of each label.  # (n,), (n,)
    """
    positives = int(np.count_nonzero(labels == 1))
    negatives = len(labels) - positives
    if not positives or not negatives:
        return ()
    order = np.argsort(-predicted, kind="stable")
    truth, score = labels[order] == 1, predicted[order]
    last_of_tie = np.append(score[1:] != score[:-1], True)
    y = np.concatenate([[0.0], np.cumsum(truth)[last_of_tie] / positives])
    x = np.concatenate([[0.0], np.cumsum(~truth)[last_of_tie] / negatives])
    if decimals is not None:
        x, y = x.round(decimals), y.round(decimals)
    points = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
    return tuple(_corners(points))


def _corners(points: list[Point]) -> list[Point]:
    """Without repetitions and without points in the middle of a horizontal or vertical line."""
    kept: list[Point] = []
    for point in points:
        if kept and point == kept[-1]:
            continue
        if len(kept) > 1 and any(kept[-2][i] == kept[-1][i] == point[i] for i in (0, 1)):
            kept[-1] = point
        else:
            kept.append(point)
    return kept
