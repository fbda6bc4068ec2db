"""Where a home's signed transactions are: its own file, or a database; always the same one.

A step that another outbox does not know would be sent a second time. So the home keeps the name of
the database that it once used, and what tells it from others of that name, and goes on with no
other.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from api.errors import SettingError
from api.files import write_private
from api.settings import OUTBOX, setting
from chain.database import name_of
from chain.outbox import Entry, Outbox, State, look_at
from chain.types import Address

FILE = "outbox.sqlite"
PLACE = "outbox.place"
MOVED = "outbox.sqlite.moved"


def outbox_of(home: Path) -> Path | str:
    """The file in a home's folder, or the URL that the environment gives. Raises `SettingError`."""
    url, (before, _) = setting(OUTBOX), _before(home)
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
    if not before and (home / FILE).exists():
        raise SettingError(
            f"{home} sends from {FILE}: move that with `consilium participant move-outbox`, or "
            f"unset {OUTBOX}"
        )
    return url


def keep_place(home: Path, outbox: Outbox) -> None:
    """From now on the home goes on with this database alone, which was opened and answered.

    Raises `SettingError` where another one of the same name is known. A file is always the home's.
    """
    if (url := setting(OUTBOX)) is None:
        return
    found = outbox.identity()
    _compare(home, found)
    if not _before(home)[1]:
        _write(home, name_of(url), found)


def look(home: Path) -> None:
    """Opens the home's outbox and writes nothing. Raises `SettingError`, `OutboxError`."""
    place = outbox_of(home)
    found = look_at(place)
    if not isinstance(place, Path):
        _compare(home, found)


def move_outbox(home: Path, genesis: bytes, sender: Address) -> str:
    """Copy the file into the database of the environment; that one's name.

    Whoever runs in this home must have been stopped. Interrupted, it is begun again. Raises
    `SettingError`, `OutboxError`.
    """
    if (url := setting(OUTBOX)) is None:
        raise SettingError(f"set {OUTBOX} or {OUTBOX}_FILE: it names the new database")
    name, (before, _) = name_of(url), _before(home)
    if (before and before != name) or not (home / FILE).exists():
        raise SettingError(f"{home} has no {FILE} to be moved: it goes on as it is")
    if not before:  # else it was interrupted once all was copied
        with (
            closing(Outbox(home / FILE, genesis, sender)) as old,
            closing(Outbox(url, genesis, sender)) as new,
        ):
            _copy(home, old, new)
            _write(home, name, new.identity())
    (home / FILE).rename(home / MOVED)
    return name


def _copy(home: Path, old: Outbox, new: Outbox) -> None:
    with old.lock(), new.lock():
        entries = old.all()
        known = {entry.step: entry for entry in entries}
        if not all(_is_newer(known.get(there.step), there) for there in new.all()):
            raise SettingError(
                f"{home / FILE} is older than what the database holds of this account, as an old "
                "backup is: name it otherwise, and the home goes on from the database"
            )
        if entries:
            new.put(entries)


def _is_newer(here: Entry | None, there: Entry) -> bool:
    """Whether a step's entry knows all that the other one does."""
    if here is None or there.hash not in here.hashes:
        return False
    return here.hash != there.hash or there.state in (here.state, State.SIGNED)


def _compare(home: Path, found: str | None) -> None:
    before, known = _before(home)
    if known and known != found:
        raise SettingError(
            f"{home} sends from a database at {before}, and this is another one there: correct "
            f"{OUTBOX} (its port, schema or server), or restore the database"
        )


def _write(home: Path, name: str, identity: str) -> None:
    write_private(home / PLACE, f"{name}\n{identity}\n")


def _before(home: Path) -> tuple[str, str]:
    """The database that the home once used, and its identity; empty for what is not known."""
    kept = home / PLACE
    lines = kept.read_text("utf-8").splitlines() if kept.exists() else []
    name, identity, *_ = [*lines, "", ""]
    return name, identity
