"""Where a home's signed transactions are: its own file, or a database; always the same one.

A step that another outbox does not know would be sent a second time. So the home keeps the name of
the database that it once used, and goes on with no other.
"""

from __future__ import annotations

from pathlib import Path

from api.errors import SettingError
from api.files import write_private
from api.settings import OUTBOX, setting
from chain.database import name_of
from chain.outbox import Outbox
from chain.types import Address

FILE = "outbox.sqlite"
PLACE = "outbox.place"
MOVED = "outbox.sqlite.moved"


def outbox_of(home: Path) -> Path | str:
    """The file in a home's folder, or the URL that the environment gives. Raises `SettingError`."""
    url, before = setting(OUTBOX), _before(home)
    if url is None:
        if before:
            raise SettingError(f"{home} sends from {before}: set {OUTBOX} or {OUTBOX}_FILE to it")
        return home / FILE
    found = name_of(url)
    if before and before != found:
        raise SettingError(
            f"{home} sends from {before}, not from {found}: correct {OUTBOX}; where the database "
            f"itself was moved, write its new name into {home / PLACE}"
        )
    if not before:
        if (home / FILE).exists():
            raise SettingError(
                f"{home} sends from {FILE}: move that with `consilium participant move-outbox`, or "
                f"unset {OUTBOX}"
            )
        write_private(home / PLACE, found + "\n")
    return url


def move_outbox(home: Path, genesis: bytes, sender: Address) -> str:
    """Copy the file into the database of the environment; that one's name.

    Whoever runs in this home must have been stopped. Interrupted, it is begun again. Raises
    `SettingError`, `OutboxError`.
    """
    if (url := setting(OUTBOX)) is None:
        raise SettingError(f"set {OUTBOX} or {OUTBOX}_FILE: it names the new database")
    if _before(home) or not (home / FILE).exists():
        raise SettingError(f"{home} has no {FILE} to be moved: it goes on as it is")
    old, new = Outbox(home / FILE, genesis, sender), Outbox(url, genesis, sender)
    with old.lock(), new.lock():
        if entries := old.all():
            new.put(entries)
    old.close()
    new.close()
    name = name_of(url)
    write_private(home / PLACE, name + "\n")
    (home / FILE).rename(home / MOVED)
    return name


def _before(home: Path) -> str:
    """The database that the home once used; empty for none."""
    kept = home / PLACE
    return kept.read_text("utf-8").strip() if kept.exists() else ""
