"""`consilium serve`: the API over a home."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from api.cli.place import demo, in_demo, place
from api.cli.show import say
from api.errors import ApiError
from api.home import Home, HomeRole


def serve(
    host: Annotated[str | None, typer.Option(help="Where to listen; else 127.0.0.1.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Else 8645; 0: any that is free.")
    ] = None,
    store: Annotated[
        str | None, typer.Option("--store", help="The store, in place of the home's.")
    ] = None,
    expose: Annotated[
        bool, typer.Option("--expose", help="Listen beyond loopback: behind a proxy with TLS.")
    ] = False,
    relay: Annotated[
        bool, typer.Option("--relay", help="Also send what is left; a relayer's home.")
    ] = False,
) -> None:
    """Serve the API: studies, rounds, provenance, where a consent was used, relay, claims.

    In a relayer's home messages can be left, which `consilium relay --watch` or --relay sends; in
    any other home, and in the folder of a demo, it reads. Ends at SIGTERM or Ctrl-C.

    Example: consilium --home homes/relayer serve --relay --port 8645
    """
    from api.server.serving import serve as run
    from api.server.settings import read_settings

    with _home(relay) as (home, rpc):
        settings = read_settings(host=host, port=port, store=store, rpc=rpc or place().rpc)
        sending = (lambda: home.party(settings.rpc)) if relay else None
        run(settings, home, expose=expose, sending=sending, say=say)


@contextmanager
def _home(relay: bool) -> Iterator[tuple[Home, str | None]]:
    """The home, and its node where that is not the home's own."""
    if in_demo():
        with demo() as (rpc, folder):
            yield _checked(folder / "relayer", relay), rpc
    else:
        yield _checked(place().home, relay), None


def _checked(path: Path, relay: bool) -> Home:
    """Only who sends needs a passphrase."""
    if not relay:
        return Home.open(path, passphrase="")
    home = Home.open(path).require(HomeRole.RELAYER)
    if not home.passphrase:
        raise ApiError("--relay signs transactions: set CONSILIUM_PASSPHRASE or its _FILE")
    return replace(home, key=home.account_key())  # a wrong passphrase is told now
