"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StudyNumber = Annotated[int, typer.Argument(metavar="STUDY", min=1, help="The study's number.")]
LastStudy = Annotated[
    int | None,
    typer.Argument(metavar="[STUDY]", min=1, help="The study's number; else the newest."),
]
LastRound = Annotated[
    int | None, typer.Argument(metavar="[ROUND]", min=1, help="The round; else the newest.")
]
RoundNo = Annotated[int, typer.Argument(metavar="ROUND", min=1, help="The round's number.")]
Agreement = Annotated[int, typer.Argument(metavar="AGREEMENT", min=1, help="The tier's number.")]
Who = Annotated[
    str, typer.Argument(help="An address, the file participant.json, or the name admitted.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Watch = Annotated[bool, typer.Option("--watch", help="Stay, and do what becomes due.")]
Relayer = Annotated[
    str | None,
    typer.Option(envvar="CONSILIUM_RELAYER", help="Who sends: an address or participant.json."),
]
StorePath = Annotated[
    str | None,
    typer.Option("--store", help="The store's folder, or http://HOST:PORT of an IPFS node."),
]
DeploymentPath = Annotated[
    Path | None, typer.Option("--deployment", help="deployment.json; then no home is needed.")
]
Node = Annotated[str | None, typer.Option("--rpc", help="The node; with --deployment.")]
Ws = Annotated[
    str | None,
    typer.Option(
        "--ws",
        help="Look at once where ws://HOST:PORT tells of a block; auto: at the node's own address. "
        "Else what CONSILIUM_WS says.",
    ),
]

InRound = Annotated[int | None, typer.Option("--round", min=1, help="The round; else the newest.")]
