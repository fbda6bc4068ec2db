"""What no pin needs is collected once it is old, and never what one needs: whatever the graph."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import Cid, Codec, EmbeddedStore, put_record
from storage.errors import CorruptBlock, MissingBlock
from storage.garbage import unneeded
from storage.store import links

DAY_S = 24 * 3600


def age(store: EmbeddedStore) -> None:
    """Two days pass for all that was written so far."""
    then = time.time() - 2 * DAY_S
    for path in (store.path / "blocks").glob("*/*"):
        os.utime(path, (then, then))


def below(store: EmbeddedStore, root: Cid) -> set[Cid]:
    found, stack = {root}, [root]
    while stack:
        cid = stack.pop()
        fresh = set(links(cid, store.get_block(cid))) - found
        found |= fresh
        stack.extend(fresh)
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    graph=st.lists(st.lists(st.integers(0, 30), max_size=4), min_size=1, max_size=25),
    pinned=st.sets(st.integers(0, 24)),
    fresh=st.integers(0, 25),
)
def test_exactly_what_is_old_and_below_no_pin_goes(
    tmp_path_factory: pytest.TempPathFactory, graph: list[list[int]], pinned: set[int], fresh: int
) -> None:
    store = EmbeddedStore.create(tmp_path_factory.mktemp("store"), durable=False)
    made: list[Cid] = []
    for number, children in enumerate(graph):
        if number == fresh:
            age(store)
        made.append(put_record(store, [number, *(made[i % number] for i in children if number)]))
    if fresh >= len(graph):
        age(store)
    roots = {made[i] for i in pinned if i < len(made)}
    store.pin(*roots)
    live = {cid for root in roots for cid in below(store, root)}
    old = set(made[:fresh])
    sizes = [len(store.get_block(cid)) for cid in old - live]
    assert unneeded(store, min_age_s=DAY_S) == (len(sizes), sum(sizes))
    removed = store.collect(min_age_s=DAY_S)
    assert {cid for cid in made if store.has(cid)} == live | (set(made) - old)
    assert removed == len(old - live)
    assert store.collect(min_age_s=DAY_S) == 0


def test_a_block_that_is_written_again_is_new(tmp_path: Path) -> None:
    store = EmbeddedStore.create(tmp_path)
    cid = store.put_block(Codec.RAW, b"again")
    age(store)
    store.put_block(Codec.RAW, b"again")
    assert store.collect(min_age_s=DAY_S) == 0
    store.pin(cid)
    age(store)
    assert store.collect(min_age_s=DAY_S) == 0
    store.unpin(cid)
    assert store.collect(min_age_s=DAY_S) == 1
    assert not store.has(cid)


def test_nothing_goes_while_what_a_pin_needs_cannot_be_told(tmp_path: Path) -> None:
    store = EmbeddedStore.create(tmp_path)
    leaf, stray = (store.put_block(Codec.RAW, text) for text in (b"leaf", b"stray"))
    root = put_record(store, [leaf])
    store.pin(root)
    age(store)
    name = root.digest.hex()
    block = tmp_path / "blocks" / name[:2] / name
    block.write_bytes(b"damaged")
    with pytest.raises(CorruptBlock, match=str(root)):
        store.collect()
    block.unlink()
    with pytest.raises(MissingBlock, match=str(root)):
        store.collect()
    assert store.has(leaf)
    assert store.has(stray)
