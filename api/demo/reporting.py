"""The report on a demo, written into its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from api.demo.world import World
from api.report.file import PAGE, write_data, write_page
from api.report.gather import gather

if TYPE_CHECKING:
    from api.demo.run import DemoResult


def write_report(world: World, result: DemoResult) -> Path:
    """Write report.json and report.html; returns the page's path."""
    from api.report.page import render  # matplotlib takes its time

    records = {name: node.records for name, node in world.hospitals.items()}
    data = gather(world.center, result.number, records, result.evaluation, result.to_json())
    write_data(world.folder, data)
    return write_page(world.folder / PAGE, render(data))
