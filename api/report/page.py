"""The page: data in, one self-contained HTML file out. The same data give the same bytes."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from api.report import conduct, curves, findings, learning, performance, tasks, tracing
from api.report.blocks import Section
from api.report.data import ReportData
from api.report.summary import summary


def sections(data: ReportData) -> list[Section]:
    """All below the summary, in order."""
    return [
        *_judged(data),
        conduct.consents(data),
        conduct.quality(data),
        conduct.money(data),
        conduct.transfers(data),
        tracing.provenance(data),
        tracing.audit(data),
    ]


def _judged(data: ReportData) -> list[Section]:
    """How good the models are."""
    if data.figures is not None:
        return [tasks.section(data, data.figures)]
    return [
        performance.figures(data),
        findings.section(data),
        performance.matrix(data),
        learning.section(data),
        curves.rocs(data),
        curves.calibration(data),
    ]


def render(data: ReportData) -> str:
    """The page. Whatever stands in the data stays text."""
    read = () if data.figures is None else tasks.reading(data.figures)
    return _template().render(
        data=data, summary=summary(data), sections=sections(data), reading=read
    )


def intervals(text: str) -> Markup:
    """Text in which no line breaks inside an interval; whatever else is in it is escaped."""
    return Markup(_INTERVAL.sub(r'<span class="ci">\g<0></span>', str(escape(text))))  # noqa: S704


_INTERVAL = re.compile(r"\([+−]?[\d.,]+(?:–| to )[+−]?[\d.,]+\)")


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("api.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["intervals"] = intervals
    style = files("api.report").joinpath("templates/report.css").read_text("utf-8")
    environment.globals["style"] = Markup(style)  # noqa: S704 - a file of this package
    return environment.get_template("report.html.j2")
