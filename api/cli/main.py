"""The `consilium` command: loads a group of commands only when it is asked for.

Chain access takes a second to import and torch takes several, so that `consilium --help` would be
slow if every group were loaded for it.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from api.cli.place import Place, set_place

COMMANDS = {
    "chain": "Run a chain for development, deploy the contracts, index their events.",
    "participant": "Make a home with keys, be admitted, publish keys, get coins.",
    "study": "Request a model, show a study, invite hospitals.",
    "offer": "Open price tiers, answer them, list them.",
    "consent": "Grant, revoke, list, and see where your data were used.",
    "relay": "Send what patients and hospitals signed, and pay the gas.",
    "serve": "Serve the API: studies, provenance, relay of signed messages.",
    "hospital": "Import records, approve studies, admit patients, train, submit.",
    "predict": "Say what a study's model makes of one patient, in the hospital.",
    "center": "Open rounds, aggregate, finalize, settle.",
    "claim": "Claim a reward: a patient's, a hospital's share, a bond.",
    "challenge": "Void an update that is false; demand leaves and answer; vote as an auditor.",
    "audit": "Replay a study and say what does not hold.",
    "storage": "List and erase own artefacts, collect what studies left in the store.",
    "swarm": "Run, join and check a private IPFS with copies at several members.",
    "engines": "Show or build the engines that a private swarm runs.",
    "demo": "Run one whole study on this machine.",
    "report": "Write the report of a finished study anew, one page for a browser.",
    "check": "Report every missing setting of a home at once.",
}
"""Each is the module of that name beside this one: its `app`, or its function of that name."""


class _Lazy(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"api.cli.{cmd_name}")
        group = getattr(module, "app", None) or _alone(getattr(module, cmd_name))
        found = typer.main.get_command(group)
        found.name = cmd_name
        return found

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _alone(function: Callable[..., None]) -> typer.Typer:
    only = typer.Typer(rich_markup_mode=None, add_completion=False)
    only.command()(function)
    return only


app = typer.Typer(
    cls=_Lazy,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"consilium {version('consilium')}")
        raise typer.Exit


@app.callback()
def _consilium(
    context: typer.Context,
    home: Annotated[
        Path, typer.Option(envvar="CONSILIUM_HOME", help="The home whose keys are used.")
    ] = Path(".consilium"),
    rpc: Annotated[
        str | None,
        typer.Option(envvar="CONSILIUM_RPC", help="The node, in place of the home's."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Hospitals learn one model together, patients decide and are paid, anyone can check.

    Example: consilium --home homes/north hospital run 1 --watch
    """
    context.obj = Place(home, rpc, debug)
    set_place(context.obj)


def command() -> Any:
    """The command as typer builds it."""
    return typer.main.get_command(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status.

    0: done. 1: refused, failed, or an audit whose checks do not all hold. 2: wrong usage.
    130: interrupted. An error is one line on stderr; its traceback needs `--debug`, for it may show
    what no screen should.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = command().main(given, prog_name="consilium", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except KeyboardInterrupt:
        return 130
    except typer.Abort:
        return _fail("nothing was done")
    except typer.TyperException as exc:
        return _fail(_one_line(exc.format_message()) + _hint(exc), exc.exit_code)
    except Exception as exc:  # noqa: BLE001 - the last border: nothing may reach the screen raw
        from api.cli.words import sentence

        if "--debug" in given:
            traceback.print_exc()
        return _fail(sentence(exc))


def _hint(exc: typer.TyperException) -> str:
    context = getattr(exc, "ctx", None)
    return f"; see `{context.command_path} --help`" if context else ""


def _fail(message: str, status: int = 1) -> int:
    typer.echo(f"consilium: {message}", err=True)
    return status


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
