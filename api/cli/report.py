"""`consilium report`: the page on a finished study, made again from its data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli.place import in_demo, place
from api.cli.show import say


def report(
    out: Annotated[
        Path | None, typer.Option(help="Write the page here; else beside its data.")
    ] = None,
) -> None:
    """Write report.html anew from a study's report.json: of the last demo, or of the home's folder.

    The page is one file that loads nothing; look at it before you pass it on.

    Example: consilium --home .consilium report --out report.html
    """
    from api.demo.resume import last_folder
    from api.report.file import DATA, PAGE, read_data, write_page
    from api.report.page import render

    folder = last_folder(place().home) if in_demo() else place().home
    data = read_data(folder / DATA)
    say(f"the report is in {write_page(out or folder / PAGE, render(data)).resolve()}")
