"""Goes on from a demo: its chain and its IPFS nodes start again for as long as a command runs."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from api.errors import DemoError
from chain.anvil import Anvil

LAST = "last"


def new_folder(root: Path, study: str, seed: int) -> Path:
    """A folder of its own for a new demo: two may run at once."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    while True:
        folder = root / f"{study}-{seed}-{secrets.token_hex(3)}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            return folder


def remember_last(root: Path, folder: Path) -> None:
    """The demo that commands go on from."""
    beside = root / f".{LAST}-{secrets.token_hex(4)}"
    beside.write_text(folder.name, "utf-8")
    beside.replace(root / LAST)


def is_demo_root(root: Path) -> bool:
    """Whether demos ran here."""
    return (root / LAST).is_file()


def last_folder(root: Path) -> Path:
    """The newest demo. Raises `DemoError` where none ran."""
    try:
        folder = root / (root / LAST).read_text("utf-8").strip()
    except OSError as exc:
        raise DemoError(f"no demo ran in {root} yet: run `make demo` first") from exc
    if not (folder / "result.json").exists():
        raise DemoError(f"{folder} is no finished demo: run `make demo` again")
    return folder


@contextlib.contextmanager
def open_last(root: Path) -> Iterator[tuple[str, Path]]:
    """The node's address and the folder of the newest demo, its chain running meanwhile."""
    with open_folder(last_folder(root)) as found:
        yield found


@contextlib.contextmanager
def open_folder(folder: Path) -> Iterator[tuple[str, Path]]:
    """The node's address of a finished demo, and its folder; its chain runs meanwhile."""
    from api.demo.swarm import resume_swarm

    os.environ.setdefault("CONSILIUM_PASSPHRASE_FILE", str(folder / "passphrase"))
    with contextlib.ExitStack() as running:
        anvil = running.enter_context(Anvil(folder / "chain" / "state.json.gz"))
        if (swarm := resume_swarm(folder)) is not None:
            running.callback(swarm.stop)
        yield anvil.url, folder
