"""The report on a demo, written into its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from api.demo.world import World
from api.report.file import PAGE, write_data, write_page
from api.report.gather import gather
from chain.types import StudyId
from federated.evaluation.result import Evaluation


def write_report(
    world: World, number: StudyId, evaluation: Evaluation, shown: dict[str, Any]
) -> Path:
    """Write report.json and report.html; returns the page's path. `shown` is the demo's JSON."""
    from api.report.page import render  # matplotlib takes its time

    records = {name: node.records for name, node in world.hospitals.items()}
    data = gather(world.center, number, records, evaluation, shown)
    write_data(world.folder, data)
    return write_page(world.folder / PAGE, render(data))
