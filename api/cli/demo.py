"""`consilium demo`: one whole study on this machine."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from api.demo.resume import new_folder, remember_last
from api.errors import DemoError


class StudyName(StrEnum):
    """Studies that ship with the project."""

    WISCONSIN = "wisconsin"
    HEART = "heart"
    PNEUMONIA = "pneumonia"


class StoreName(StrEnum):
    """Where the demo's artefacts lie."""

    EMBEDDED = "embedded"
    KUBO = "kubo"
    CLUSTER = "cluster"


def demo(
    context: typer.Context,
    study: Annotated[StudyName, typer.Option(help="Which study to run.")] = StudyName.WISCONSIN,
    seed: Annotated[int, typer.Option(min=0, help="Deals the records and drives training.")] = 1,
    store: Annotated[
        StoreName,
        typer.Option(
            help="A folder, or a private IPFS with a node for each party; with cluster, also "
            "copies of what is pinned at several."
        ),
    ] = StoreName.EMBEDDED,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run one whole study on this machine: consent, training, audit and payment.

    Every party gets a home under --home; `consilium audit` and `consilium study show` go on from
    there.

    Example: consilium demo --study wisconsin --seed 1 --json
    """
    from api.demo.run import run_demo  # torch takes seconds: only who trains pays for it
    from api.demo.show import show
    from storage.backends import CLUSTER_PRIVATE, EMBEDDED, KUBO_PRIVATE

    backend = {
        StoreName.EMBEDDED: EMBEDDED,
        StoreName.KUBO: KUBO_PRIVATE,
        StoreName.CLUSTER: CLUSTER_PRIVATE,
    }[store]
    root: Path = context.obj.home
    folder = new_folder(root, study.value, seed)
    console = Console(stderr=as_json)
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console
    ) as progress:
        task = progress.add_task("starts")

        def say(who: str, what: str) -> None:
            progress.update(task, description=f"[bold]{who}[/bold] {what}")
            if not console.is_terminal:
                progress.console.print(f"{who}: {what}")

        result = run_demo(folder, study.value, seed, say, backend)
        progress.update(task, description="done")
    remember_last(root, folder)
    if as_json:
        sys.stdout.write(json.dumps(result.to_json()) + "\n")
    else:
        show(console, result)
        console.print(f"everything of it is in {folder}; look at {folder / 'report.html'}")
    if not result.verdict.ok:
        raise DemoError(f"the audit of {folder} failed: see its checks above")
