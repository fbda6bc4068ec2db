"""A picture of a run's claims: each value beside its limit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from bench.claims import Claim

_WORDS = {None: "not judged", True: "holds", False: "does not hold"}
_COLOURS = {None: "#8a8f98", True: "#2f7d5b", False: "#b3452c"}


def draw(claims: Sequence[Claim], file: Path) -> None:
    """An SVG of horizontal bars: the value over its limit, so that 1 is the limit of each."""
    claims = [claim for claim in claims if claim.limit is not None]
    figure = Figure(figsize=(8, 1.2 + 0.36 * len(claims)), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    for place, claim in enumerate(reversed(claims)):
        share = claim.value / claim.limit if claim.limit else 0.0
        axes.barh(place, share, color=_COLOURS[claim.ok], height=0.62)
        text = f" {claim.value:.4g} (limit {claim.sense} {claim.limit:g}; {_WORDS[claim.ok]})"
        axes.text(max(share, 0), place, text, va="center", fontsize=8)
    axes.set_yticks(range(len(claims)), [claim.id for claim in reversed(claims)], fontsize=8)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlim(left=min(0.0, axes.get_xlim()[0]), right=max(2.2, axes.get_xlim()[1] * 1.6))
    axes.set_xlabel("value over limit")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None})
