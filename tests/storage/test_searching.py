"""Names that nobody has are looked for at once, and no longer than is said."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from storage import Cid, Codec, EmbeddedStore, raw_cid
from storage.errors import MissingBlock, Unanswered
from storage.searching import each_announced
from storage.store import surely
from tests.storage.kit import SLOW_S

TOPIC = b"\x07" * 32


class Slow(EmbeddedStore):
    """What it does not have it looks for as long as a test wants."""

    def __init__(self, path: Path, look: Callable[[], object]) -> None:
        super().__init__(path)
        self._look = look

    def get_block(self, cid: Cid) -> bytes:
        if not self.has(cid):
            self._look()
        return super().get_block(cid)


def of(path: Path, *, dead: int) -> Cid:
    """A store with one block announced and names that nobody has."""
    store = EmbeddedStore.create(path)
    cid = store.put_block(Codec.RAW, b"here")
    store.announce(TOPIC, cid, *(raw_cid(os.urandom(32)) for _ in range(dead)))
    return cid


def test_what_nobody_has_is_looked_for_at_once(tmp_path: Path) -> None:
    of(tmp_path / "store", dead=20)
    together = threading.Barrier(20)
    store, blocks = Slow(tmp_path / "store", lambda: together.wait(SLOW_S)), []
    with each_announced(store, TOPIC) as found:
        for _, read in found:
            with suppress(MissingBlock):
                blocks.append(read())
    assert blocks == [b"here"]


def test_what_is_at_hand_comes_first_and_the_rest_is_not_said_to_be_missing(tmp_path: Path) -> None:
    here, ended = of(tmp_path / "store", dead=100), threading.Event()
    with each_announced(
        Slow(tmp_path / "store", lambda: ended.wait(SLOW_S)), TOPIC, within_s=0.0
    ) as found:
        try:
            (first, _), *others = found
            for _, read in others:
                with pytest.raises(Unanswered, match="see who announces what nobody has"):
                    read()
        finally:
            ended.set()
    assert first == here


def test_a_search_that_is_flooded_ends_without_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    class Ending(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            ended.set()
            super().shutdown(wait, cancel_futures=cancel_futures)

    monkeypatch.setattr("storage.searching.ThreadPoolExecutor", Ending)
    of(tmp_path / "store", dead=3)
    store = Slow(tmp_path / "store", lambda: ended.wait(SLOW_S))
    with pytest.raises(Unanswered, match="see who announces what nobody has"):
        surely(store, TOPIC, lambda: None, within_s=0.0)
