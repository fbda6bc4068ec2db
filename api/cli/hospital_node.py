"""The hospital whose home --home names, where needed with the chain of the demo it took part in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from api.cli.place import check_chain, in_demo, open_home, place
from api.errors import HomeError
from api.home import Home, HomeRole
from federated.hospital import HospitalNode


def live_node() -> HospitalNode:
    """The hospital on a chain that runs. Raises `HomeError`, `NoPassphrase`, `WrongChain`."""
    node = open_home(HomeRole.HOSPITAL).hospital(place().rpc)
    check_chain(node.party)
    return node


@contextmanager
def hospital() -> Iterator[tuple[Home, HospitalNode]]:
    """Its home and its node. Raises `HomeError`, `NoPassphrase`, `WrongChain`.

    A demo's hospitals live on a chain that stopped with the demo: it runs again meanwhile.
    """
    if in_demo():
        raise HomeError(
            f"{place().home} is the folder of demos: name a hospital's home below it, as in --home "
            f"{_example(place().home)}"
        )
    with ExitStack() as running:
        rpc = place().rpc
        if rpc is None and (folder := _demo_of(place().home)) is not None:
            from api.demo.resume import open_folder

            rpc, _ = running.enter_context(open_folder(folder))
        home = open_home(HomeRole.HOSPITAL)
        node = home.hospital(rpc)
        check_chain(node.party)
        yield home, node


def _demo_of(home: Path) -> Path | None:
    """The finished demo that a hospital's home belongs to."""
    folder = home.resolve().parent.parent
    return (
        folder if (folder / "result.json").is_file() and (folder / "passphrase").is_file() else None
    )


def _example(root: Path) -> Path:
    last = root / (root / "last").read_text("utf-8").strip()
    return next(iter(sorted((last / "hospitals").glob("*"))), last / "hospitals" / "NAME")
