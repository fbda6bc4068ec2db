"""Artefacts found by keyword: by members alone, in what its author stands by alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from federated.collecting import find_leftovers
from federated.errors import StepError
from federated.finding import Found, find
from federated.index_keys import index_context, keys_of, share_key
from federated.indexing import index_own, index_topic, latest_indexes
from federated.party import Party
from storage.cid import Codec
from storage.errors import BadKeyword, MissingBlock
from storage.keys import Identity
from storage.keywords import IndexKey, write_index
from storage.signing import SigningKey
from storage.store import BlockStore
from tests.e2e import kit
from tests.e2e.kit import World
from tests.e2e.test_erasing import end, erase_update, node_of

pytestmark = pytest.mark.engine("anvil")
HIDDEN = "sarcoidosis"


def indexed(world: World) -> World:
    study = world.read()
    share_key(world.center, study)
    index_own(world.center, study)
    for name in kit.HOSPITALS:
        index_own(world.party(name), study, [HIDDEN] if name == "north" else [])
    return world


def hits(party: Party, *keywords: str) -> set[tuple[str, int, str]]:
    found = find(party, keywords)
    assert found.refused == []
    assert not any(hit.gone for hit in found.hits)
    return {(h.listed.kind, h.listed.round_number, h.listed.account) for h in found.hits}


def test_members_find_each_others_artefacts_and_strangers_nothing(finished: World) -> None:
    with pytest.raises(StepError, match="ask the center to run `consilium study index`"):
        index_own(finished.party("north"), finished.read())
    indexed(finished)
    north, center = finished.keys["north"].address, finished.keys["center"].address
    for name in "center", "auditor", "north", "harbor":
        party = finished.party(name)
        assert hits(party, HIDDEN) == {("update", 1, north), ("update", 2, north)}
        assert hits(party, HIDDEN, "ROUND 2") == {("update", 2, north)}
        assert hits(party, "round 2", "global-model") == {("global-model", 2, center)}
        assert hits(party, "study", finished.read().spec.name) == {("study", 0, center)}
        assert hits(party, "nothing has it") == set()
    stranger = find(finished.relayer, [HIDDEN])
    assert stranger == Found(without_key=[finished.study])


def test_the_store_learns_no_keyword(finished: World) -> None:
    before = set(_blocks(finished))
    indexed(finished)
    new = [block for block in _blocks(finished) if block not in before]
    assert len(new) > 8
    for word in (HIDDEN, "global-model", "round 1", finished.read().spec.name):
        assert not [block for block in new if word.encode() in block]


def _blocks(world: World) -> list[bytes]:
    return [path.read_bytes() for path in (world.folder / "store" / "blocks").glob("*/*")]


def test_an_index_grows_with_its_authors_artefacts_and_keeps_their_keywords(
    submitted: World,
) -> None:
    indexed(submitted)
    study, north = submitted.read(), submitted.party("north")
    first = latest_indexes(north, study)[north.address]
    assert index_own(north, study) == first  # nothing new, nothing written
    grown = index_own(north, study, ["biopsy"], [2])
    assert (grown.number, len(grown.entries)) == (first.number + 1, 2)
    assert first.cid not in north.store.pins()
    assert hits(submitted.auditor, "biopsy", HIDDEN) == {("update", 2, north.address)}
    kit.finalize(submitted.center, submitted.study, kit.RoundNumber(2))
    index_own(submitted.center, study)
    center = submitted.center.address
    assert hits(north, "global-model") == {("global-model", n, center) for n in (1, 2)}
    with pytest.raises(BadKeyword):
        index_own(north, study, [f"word {n}" for n in range(32)])


def test_another_secret_is_for_those_who_are_members_then(finished: World) -> None:
    indexed(finished)
    study, north = finished.read(), finished.party("north")
    old = keys_of(north, study)
    share_key(finished.center, study)
    assert keys_of(north, study) == old
    share_key(finished.center, study, renew=True)
    new = keys_of(north, study)
    assert new[1:] == old
    assert new[0] != old[0]
    index = index_own(north, study)
    assert index.key_id == new[0].key_id
    assert hits(finished.auditor, HIDDEN) == {("update", n, north.address) for n in (1, 2)}
    gone = replace(north, identity=Identity.generate())  # never given the new one
    assert keys_of(gone, study) == []
    with pytest.raises(StepError, match="only its center"):
        share_key(north, study)


def test_an_author_whose_key_was_exchanged_begins_its_keywords_anew(finished: World) -> None:
    indexed(finished)
    study, north = finished.read(), finished.party("north")
    anew = replace(north, identity=Identity.generate())
    kit.register(anew)
    share_key(finished.center, study)
    assert index_own(anew, study, ["biopsy"]).number == 2
    assert hits(finished.auditor, "biopsy") == {("update", n, north.address) for n in (1, 2)}
    assert hits(finished.auditor, HIDDEN) == set()
    found = find(anew, ["round 1", "update"])
    assert [hit.listed.account for hit in found.hits] == [north.address]
    assert all("ask its sender" in reason for reason in found.refused)
    assert len(found.refused) == 2
    for name in "harbor", "valley":
        index_own(finished.party(name), study)  # wraps the catalogue for the new key
    hospitals = {finished.keys[name].address for name in kit.HOSPITALS}
    assert hits(anew, "round 1", "update") == {("update", 1, item) for item in hospitals}


def _forge(
    world: World, author: Party, entries: dict[bytes, Sequence[str]], key: IndexKey | None = None
) -> None:
    """An index with the author's own catalogue, which knows nothing of these entries."""
    study = world.read()
    context, last = index_context(author, study), latest_indexes(author, study)
    own = last.get(author.address) or last[world.party("north").address]
    cid = write_index(
        author.store,
        entries,
        key=key or keys_of(author, study)[0],
        context=context,
        number=own.number + 1,
        catalogue=own.catalogue,
        sender=author.sender,
    )
    author.store.announce(index_topic(context), cid)


def test_an_entry_that_its_catalogue_does_not_have_is_not_believed(finished: World) -> None:
    indexed(finished)
    north = finished.party("north")
    own = kit.submission_of(finished, 1, "north").manifest
    _forge(finished, north, {own: ["miracle"]})
    found = find(finished.auditor, ["miracle"])
    assert found.hits == []
    assert "its catalogue does not have the keyword" in found.refused[0]
    assert find(finished.auditor, [HIDDEN]).hits == []  # what it lists now counts, and only that


def test_a_member_cannot_list_anothers_artefact_nor_what_is_none(finished: World) -> None:
    indexed(finished)
    other = kit.submission_of(finished, 1, "harbor").manifest
    invented = bytes(range(32))
    _forge(finished, finished.party("north"), {other: ["miracle"], invented: ["miracle"]})
    found = find(finished.auditor, ["miracle"])
    assert found.hits == []
    assert len(found.refused) == 2
    assert all("no artefact of its own" in reason for reason in found.refused)


def test_a_stranger_cannot_put_an_index_into_a_study(finished: World) -> None:
    indexed(finished)
    study, relayer = finished.read(), finished.relayer
    key = keys_of(finished.center, study)[0]  # even with the secret
    own = kit.submission_of(finished, 1, "north").manifest
    _forge(finished, relayer, {own: ["miracle"]}, key)
    north = finished.party("north")
    impostor = replace(north, sender=replace(north.sender, signing_key=SigningKey.generate()))
    _forge(finished, impostor, {own: ["miracle"]}, key)
    junk = relayer.store.put_block(Codec.RAW, b"junk")
    relayer.store.announce(index_topic(index_context(relayer, study)), junk)
    assert find(finished.auditor, ["miracle"]) == Found()
    assert len(hits(finished.auditor, HIDDEN)) == 2


def test_a_secret_that_the_center_did_not_seal_is_no_key(finished: World) -> None:
    study, north = finished.read(), finished.party("north")
    share_key(replace(north, chain=_as_center(finished)), study)
    assert keys_of(finished.auditor, study) == []
    assert keys_of(north, study) == []


def _as_center(world: World) -> kit.Contracts:
    """The chain as the center's account sees it: a hospital that passes itself for it."""
    return world.center.chain


def test_an_erased_artefact_is_found_as_gone(finished: World) -> None:
    indexed(finished)
    end(finished)
    erase_update(finished, 2, "north")
    found = find(finished.auditor, [HIDDEN])
    assert found.refused == []
    assert {(hit.listed.round_number, hit.gone) for hit in found.hits} == {(1, False), (2, True)}


def test_a_given_up_study_takes_its_index_along(finished: World) -> None:
    indexed(finished)
    end(finished)
    auditor, store = finished.auditor, node_of(finished.auditor.store)
    study = finished.read()
    cids = [index.cid for index in latest_indexes(auditor, study).values()]
    found = find_leftovers(auditor, store, [finished.study])
    assert set(cids) <= set(found.roots)
    for cid in found.roots:
        store.unpin(cid)
    store.forget(found.blocks)
    assert not any(store.has(cid) for cid in cids)
    with pytest.raises(MissingBlock):
        find(auditor, [HIDDEN], [finished.study])
    assert find(auditor, [HIDDEN]) == Found()
    assert _readable(store)


def _readable(store: BlockStore) -> bool:
    return all(store.has(cid) for cid in store.pins())
