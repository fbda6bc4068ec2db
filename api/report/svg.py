"""Pictures as SVG inside the page: coloured by the page's style, named for who cannot see them."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib import rc_context, rcdefaults, rcParams
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

WIDTH, HEIGHT = 3.1, 2.5
"""Inches of one panel; the page scales it."""

# Colours that stand for the page's variables until the picture is inlined.
_VARIABLES = {"#000101": "ink", "#000102": "faint", "#000103": "paper"} | {
    f"#0002{number:02x}": f"s{number}" for number in range(1, 7)
}
INK, FAINT, PAPER, *SERIES = _VARIABLES

_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "consilium",
    "svg.fonttype": "none",
    "text.parse_math": False,  # a "$" in a name is no formula
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Figures made inside look as the page wants."""
    with rc_context(), warnings.catch_warnings():
        rcdefaults()  # whoever has a style of his own gets the same page
        rcParams.update(_STYLE)
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # the browser has other fonts
        yield


def panel(width: float = WIDTH, height: float = HEIGHT) -> Figure:
    """An empty figure of one panel."""
    return Figure(figsize=(width, height), layout="constrained")


def inline(figure: Figure, name: str, title: str, description: str) -> Markup:
    """The figure as an `svg` element; `name` is unique in the page and made of a-z, 0-9 and '-'."""
    FigureCanvasSVG(figure)
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(text.getvalue())  # noqa: S314 - matplotlib wrote it just now
    _tidy(root, name)
    del root.attrib["width"], root.attrib["height"]
    root.attrib.pop("version", None)
    return named(root, name, title, description)


def named(root: ElementTree.Element, name: str, title: str, description: str) -> Markup:
    """An `svg` element with a name and a description that a screen reader tells."""
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    for place, (tag, words) in enumerate((("title", title), ("desc", description))):
        child = ElementTree.Element(tag, {"id": f"{name}-{tag}"})
        child.text = words
        root.insert(place, child)
    # ElementTree escapes text and attributes.
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704


def _tidy(root: ElementTree.Element, name: str) -> None:
    """Plain names, ids of this picture alone, no metadata, no style sheet, no fixed colour."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{_SVG}metadata", f"{_SVG}style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        for key, value in list(element.attrib.items()):
            del element.attrib[key]
            if key == "id":
                value = f"{name}-{value}"
            elif key == f"{_XLINK}href":
                key, value = "href", value.replace("#", f"#{name}-")
            elif key == "style" or key in ("fill", "stroke"):
                value = _coloured(value)
            element.set(key, value.replace("url(#", f"url(#{name}-"))


def _coloured(style: str) -> str:
    style = re.sub(r"font: ([\d.]+px)[^;]*", r"font-size: \1", style)
    return re.sub(r"#[0-9a-f]{6}", lambda found: _variable(found[0]), style)


def _variable(color: str) -> str:
    return f"var(--{_VARIABLES.get(color, 'ink')})"
