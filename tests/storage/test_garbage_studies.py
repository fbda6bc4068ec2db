"""What given-up studies leave is found and goes; what any other pin needs stays: whatever they
share."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import Cid, Codec, EmbeddedStore, put_record
from storage.errors import MissingBlock
from storage.garbage import find_garbage, remove
from tests.storage.test_garbage import below

Studies = list[set[int]]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    graph=st.lists(st.lists(st.integers(0, 30), max_size=3), min_size=1, max_size=20),
    studies=st.lists(st.sets(st.integers(0, 19), max_size=4), min_size=1, max_size=4),
    ended=st.sets(st.integers(0, 3)),
    loose=st.sets(st.integers(0, 19)),
)
def test_exactly_what_ended_studies_alone_need_goes(
    tmp_path_factory: pytest.TempPathFactory,
    graph: list[list[int]],
    studies: Studies,
    ended: set[int],
    loose: set[int],
) -> None:
    store = EmbeddedStore.create(tmp_path_factory.mktemp("store"), durable=False)
    made: list[Cid] = []
    for number, children in enumerate(graph):
        made.append(put_record(store, [number, *(made[i % number] for i in children if number)]))
    roots = [{made[i] for i in study if i < len(made)} for study in studies]
    store.pin(*set().union(*roots))
    running = set().union(*(r for n, r in enumerate(roots) if n not in ended))
    over = set().union(*(r for n, r in enumerate(roots) if n in ended)) - running
    beside = {made[i] for i in loose if i < len(made)}
    live = {cid for root in running for cid in below(store, root)}
    left = ({cid for root in over for cid in below(store, root)} | beside) - live
    sizes = {cid: len(store.get_block(cid)) for cid in made}
    found = find_garbage(store, over, beside)
    assert (set(found.blocks), set(found.roots)) == (left, over)
    assert found.size == sum(sizes[cid] for cid in left)
    assert all(store.has(cid) for cid in made)  # nothing has changed yet
    assert remove(store, found) == []
    assert {cid for cid in made if store.has(cid)} == set(made) - left
    assert set(store.pins()) == running
    for root in running:
        store.pin(root)  # whole
    assert find_garbage(store, over, beside).blocks == ()


def test_nothing_goes_while_it_cannot_be_told_what_a_running_study_needs(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    store = EmbeddedStore.create(tmp_path_factory.mktemp("store"))
    shared = store.put_block(Codec.RAW, os.urandom(9))
    over, middle = put_record(store, ["over", shared]), put_record(store, ["middle", shared])
    running = put_record(store, ["running", middle])
    store.pin(over, running)
    name = middle.digest.hex()
    (store.path / "blocks" / name[:2] / name).unlink()
    with pytest.raises(MissingBlock, match=str(middle)):
        find_garbage(store, [over])
    assert store.has(over)
    assert set(store.pins()) == {over, running}


def test_a_block_that_got_a_pin_meanwhile_stays(tmp_path_factory: pytest.TempPathFactory) -> None:
    store = EmbeddedStore.create(tmp_path_factory.mktemp("store"))
    shared = store.put_block(Codec.RAW, os.urandom(9))
    over = put_record(store, ["over", shared])
    store.pin(over)
    found = find_garbage(store, [over])
    other = put_record(store, ["new", shared])
    store.pin(other)
    assert remove(store, found) == [shared]
    assert store.has(shared)
    assert not store.has(over)
