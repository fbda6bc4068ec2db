"""A file that its owner alone opens: bound to a context, replaced whole, mode 600."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.errors import CorruptPayload, Unreachable
from storage.keys import Identity
from storage.own_file import read_own, write_own

CONTEXT, OTHER = b"\x01" * 32, b"\x02" * 32
OWNER = Identity.generate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_own(tmp_path / "own" / "file", b"what is kept", OWNER, CONTEXT)
    return tmp_path / "own" / "file"


def test_the_owner_reads_what_it_wrote_and_no_byte_of_it_lies_open(path: Path) -> None:
    assert read_own(path, OWNER, CONTEXT) == b"what is kept"
    assert b"kept" not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600


def test_writing_again_leaves_nothing_of_what_was_there(path: Path) -> None:
    write_own(path, b"another", OWNER, CONTEXT)
    assert read_own(path, OWNER, CONTEXT) == b"another"
    assert [item.name for item in path.parent.iterdir()] == ["file"]


def test_no_file_is_nothing(path: Path) -> None:
    assert read_own(path.with_name("none"), OWNER, CONTEXT) is None


@pytest.mark.parametrize("place", [0, 25, -1])
def test_a_changed_byte_is_found(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptPayload, match="does not open"):
        read_own(path, OWNER, CONTEXT)


@pytest.mark.parametrize("size", [0, 5, 30])
def test_a_file_cut_short_is_found(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CorruptPayload, match="make it anew"):
        read_own(path, OWNER, CONTEXT)


def test_another_key_and_another_context_open_nothing(path: Path) -> None:
    for identity, context in ((Identity.generate(), CONTEXT), (OWNER, OTHER)):
        with pytest.raises(CorruptPayload):
            read_own(path, identity, context)


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(Unreachable, match="cannot be written"):
        write_own(tmp_path / "taken" / "file", b"", OWNER, CONTEXT)
