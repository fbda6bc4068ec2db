"""The plots: each from figures that a table beside it tells too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from api.report.data import Share, Transfer
from api.report.numbers import figure, with_p
from api.report.svg import FAINT, INK, SERIES, drawing, inline, panel
from federated.evaluation.calibration import Calibration
from federated.evaluation.result import Comparison, LearningPoint
from federated.evaluation.roc import Point
from federated.metrics import Estimate


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot and its title, which the page shows above it."""

    title: str
    picture: Markup


@dataclass(frozen=True, slots=True)
class Stroke:
    """How one series looks, in the plot and in its key; colour is never the only difference."""

    color: str
    dash: str
    marker: str

    @property
    def variable(self) -> str:
        """The style's name of the colour."""
        return f"s{SERIES.index(self.color) + 1}"

    @property
    def sign(self) -> str:
        """The marker as a character."""
        return _SIGNS[self.marker]


_MARKERS = ("o", "s", "^", "D", "v", "P")
_SIGNS: dict[str, str] = dict(zip(("", *_MARKERS), ("", *"●■▲◆▼✚"), strict=True))
_DASHES = ("solid", "dashed", "dotted", "dashdot")
MODEL_STROKES = (
    Stroke(SERIES[0], "solid", "o"),
    Stroke(SERIES[1], "dashed", "s"),
    Stroke(SERIES[2], "dotted", "^"),
)
"""Federated, own, centralised, wherever models are drawn."""


def strokes(count: int) -> list[Stroke]:
    """As many looks for hospitals; they repeat after twelve."""
    looks = [Stroke(*item) for item in zip(SERIES * 2, _DASHES * 3, _MARKERS * 2, strict=True)]
    return list(islice(cycle(looks), count))


def short(name: str) -> str:
    """A name for an axis; the table has it whole."""
    return _cut(name, 14)


def learning_plot(
    name: str, title: str, unit: str, lines: Mapping[str, Sequence[tuple[int, float]]]
) -> Panel:
    """One line a hospital over rounds."""
    with drawing():
        drawn = panel()
        axes = drawn.add_subplot()
        for line, look in zip(lines.values(), strokes(len(lines)), strict=True):
            axes.plot(
                [x for x, _ in line],
                [y for _, y in line],
                color=look.color,
                linestyle=look.dash,
                marker=look.marker,
            )
        _frame(axes, "round", unit)
        _whole_rounds(axes, [x for line in lines.values() for x, _ in line])
        ends = [f"{key} from {line[0][1]:.3f} to {line[-1][1]:.3f}" for key, line in lines.items()]
        return Panel(title, inline(drawn, name, title, f"{unit} by round: {'; '.join(ends)}."))


def pooled_learning_plot(name: str, points: Sequence[LearningPoint]) -> Panel:
    """The pooled test AUC over rounds with its interval."""
    found = [(point.round_number, point.auc) for point in points if point.auc]
    rounds, areas = [x for x, _ in found], [y for _, y in found]
    with drawing():
        drawn = panel()
        axes = drawn.add_subplot()
        low, high = [a.low for a in areas], [a.high for a in areas]
        axes.fill_between(rounds, low, high, color=SERIES[0], alpha=0.2, linewidth=0)
        axes.plot(rounds, [a.value for a in areas], color=SERIES[0], marker="o")
        title = "Test AUC, all hospitals together"
        _frame(axes, "round", "AUC, 95 % interval")
        _whole_rounds(axes, rounds)
        words = f"AUC {figure(areas[0])} before training and {figure(areas[-1])} at the end."
        return Panel(title, inline(drawn, name, title, words))


def roc_plot(name: str, title: str, curves: Sequence[Sequence[Point]], words: str) -> Panel:
    """Up to three curves in the order of `MODEL_STROKES`; an empty one is not drawn."""
    with drawing():
        drawn = panel()
        axes = drawn.add_subplot()
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8)
        for points, look in zip(curves, MODEL_STROKES, strict=True):
            if points:
                x, y = zip(*points, strict=True)
                axes.plot(x, y, color=look.color, linestyle=look.dash)
        _frame(axes, "1 − specificity", "sensitivity")
        _unit_square(axes)
        return Panel(title, inline(drawn, name, title, words))


def calibration_plot(
    name: str, title: str, found: Sequence[Calibration | None], words: str
) -> Panel:
    """Observed against predicted, with Wilson intervals, in the order of `MODEL_STROKES`."""
    with drawing():
        drawn = panel()
        axes = drawn.add_subplot()
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8)
        for item, look in zip(found, MODEL_STROKES, strict=True):
            if item is None:
                continue
            x = [part.predicted for part in item.bins]
            y = [part.observed.value for part in item.bins]
            axes.plot(x, y, color=look.color, linestyle=look.dash, marker=look.marker)
            for part in item.bins:
                ends = [part.observed.low, part.observed.high]
                axes.plot([part.predicted] * 2, ends, color=look.color, linewidth=0.8, alpha=0.7)
        _frame(axes, "predicted probability", "observed share")
        _unit_square(axes)
        return Panel(title, inline(drawn, name, title, words))


def forest_plot(name: str, title: str, found: Mapping[str, Comparison]) -> Panel:
    """Differences of AUC with intervals, one line a hospital; right of 0 is for the federated."""
    with drawing():
        drawn = panel(height=max(1.6, 0.9 + 0.28 * len(found)))
        axes = drawn.add_subplot()
        axes.axvline(0, color=FAINT, linewidth=1)
        for place, item in enumerate(found.values()):
            axes.plot([item.auc.low, item.auc.high], [place] * 2, color=SERIES[0])
            axes.plot([item.auc.value], [place], color=SERIES[0], marker="o")
        axes.set_yticks(range(len(found)), [short(key) for key in found])
        axes.set_ylim(len(found) - 0.5, -0.5)
        most = max(abs(x) for item in found.values() for x in (item.auc.low, item.auc.high))
        axes.set_xlim(-1.15 * most - 0.005, 1.15 * most + 0.005)
        axes.locator_params(axis="x", nbins=5)
        _frame(axes, "← own better | federated better →", "")
        told = "; ".join(f"{key}: {with_p(item.auc)}" for key, item in found.items())
        return Panel(
            title, inline(drawn, name, title, f"Difference of AUC with 95 % interval. {told}.")
        )


def share_plot(name: str, shares: Sequence[Share]) -> Panel:
    """Each hospital's share of the counted weights and of the money."""
    weight, paid = sum(x.weight for x in shares) or 1, sum(x.paid for x in shares) or 1
    with drawing():
        drawn = panel(height=max(1.6, 0.9 + 0.28 * len(shares)))
        axes = drawn.add_subplot()
        for place, item in enumerate(shares):
            ends = [100 * item.weight / weight, 100 * item.paid / paid]
            axes.plot(ends, [place] * 2, color=FAINT, linewidth=1)
            for x, look, size in zip(ends, MODEL_STROKES[:2][::-1], (8, 4.5), strict=True):
                point = axes.plot([x], [place], color=look.color, marker=look.marker)[0]
                point.set_markersize(size)
                point.set_markerfacecolor("none" if size == 8 else look.color)
        axes.set_yticks(range(len(shares)), [short(item.hospital) for item in shares])
        axes.set_ylim(len(shares) - 0.5, -0.5)
        axes.set_xlim(left=0)
        title = "Records given and money got"
        _frame(axes, "share of all hospitals, %", "")
        told = "; ".join(
            f"{x.hospital}: {100 * x.weight / weight:.1f} % of records, {100 * x.paid / paid:.1f} %"
            " of the money"
            for x in shares
        )
        return Panel(title, inline(drawn, name, title, f"{told}."))


LEGS = {"upload_s": "upload", "download_s": "download", "chain_s": "record on chain"}


def transfer_plot(name: str, backend: str, items: Sequence[Transfer]) -> Panel:
    """Every transfer as a point for each leg, and the median as a bar across."""
    with drawing():
        drawn = panel(height=1.9)
        axes = drawn.add_subplot()
        told = []
        for place, (leg, words) in enumerate(LEGS.items()):
            times = sorted(1000 * getattr(item, leg) for item in items)
            middle = times[len(times) // 2]
            spread = [place + 0.5 * (i % 5 - 2) / 5 for i in range(len(times))]
            look = MODEL_STROKES[place]
            axes.scatter(times, spread, s=9, color=look.color, marker=look.marker, alpha=0.55)
            axes.plot([middle] * 2, [place - 0.35, place + 0.35], color=INK, linewidth=1.4)
            told.append(f"{words}: {times[0]:.1f} to {times[-1]:.1f} ms")
        axes.set_yticks(range(len(LEGS)), list(LEGS.values()))
        axes.set_ylim(len(LEGS) - 0.5, -0.5)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        title = f"Transfer of sealed updates, {backend}"
        _frame(axes, "ms, log scale (bar: median)", "")
        return Panel(title, inline(drawn, name, title, f"{'; '.join(told)}."))


def _frame(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def _cut(text: str, most: int) -> str:
    """At most so many characters, and none that XML forbids."""
    clean = "".join(c if c.isprintable() else " " for c in text)
    return clean if len(clean) <= most else f"{clean[: most - 1]}…"


def _unit_square(axes: Axes) -> None:
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])


def _whole_rounds(axes: Axes, rounds: Sequence[int]) -> None:
    last = max(rounds, default=0)
    axes.set_xticks(range(0, last + 1, max(1, last // 7)))


def area_words(areas: Mapping[str, Estimate | None]) -> str:
    """AUCs by model, as a description tells them."""
    return "; ".join(f"{key}: AUC {figure(area)}" for key, area in areas.items()) + "."
