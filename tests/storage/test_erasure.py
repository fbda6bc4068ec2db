"""Erasure at every node: what goes, what stays, who is asked, and who would have more erased."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from storage import (
    Cid,
    Codec,
    EmbeddedStore,
    Identity,
    Sealed,
    Sender,
    Signer,
    SigningKey,
    dag_cbor_cid,
    open_artefact,
    rewrap,
    seal,
    sign_record,
)
from storage.erasure import Answer, Node, Tombstone, erase, find_tombstone, read_tombstone
from storage.errors import (
    BadSignature,
    CorruptBlock,
    EvidenceNeeded,
    MalformedRecord,
    MissingBlock,
    Unanswered,
    Unreachable,
    WrongSigner,
)
from storage.garbage import find_garbage, remove
from storage.kubo import KuboStore
from storage.manifest import PayloadFacts, read_manifest, write_manifest
from storage.payload import SEGMENT_SIZE
from storage.private_swarm import PrivateSwarm
from storage.tags import TOMBSTONE
from tests.storage.kit import eventually, kubo_file

CONTEXT = bytes(range(32))
SENDER = Sender(b"\xaa" * 20, SigningKey(b"\x01" * 32))
OTHER = Sender(b"\xbb" * 20, SigningKey(b"\x02" * 32))
READER = Identity.generate()
PLAINTEXT = bytes(2 * SEGMENT_SIZE + 9)
NewStore = Callable[[str], EmbeddedStore]
PATIENT_S = 120.0
"""For a block that another member has."""


def sealed_in(store: Node, sender: Sender = SENDER, plaintext: bytes = PLAINTEXT) -> Sealed:
    return seal(
        store,
        plaintext,
        kind="update",
        schema=bytes(32),
        context=CONTEXT,
        sender=sender,
        recipients=[READER.recipient],
    )


def read(store: Node, sealed: Sealed, sender: Sender = SENDER) -> bytes:
    opened = open_artefact(
        store,
        sealed.manifest_digest,
        READER,
        expected_context=CONTEXT,
        expected_signer=sender.signer,
    )
    return opened.read()


def erased(
    nodes: Mapping[str, Node],
    digest: bytes,
    sender: Sender = SENDER,
    former: Sequence[Signer] = (),
    **changes: int,
) -> Tombstone:
    at = {"now": 2_000, "keep_until": 1_000} | changes
    return erase(
        nodes,
        digest,
        sender=sender,
        reason="the patient asked",
        now=at["now"],
        keep_until=at["keep_until"],
        former=former,
    )


@pytest.fixture
def nodes(new_store: NewStore, tmp_path: Path) -> dict[str, EmbeddedStore]:
    """Three members with a store each; `copied` brings all to the same blocks."""
    return {name: new_store(name) for name in ("harbor", "hill", "center")}


def copied(nodes: Mapping[str, EmbeddedStore]) -> None:
    first, *others = nodes.values()
    for other in others:
        shutil.copytree(first.path, other.path, dirs_exist_ok=True)


def test_nothing_of_an_erased_artefact_is_left_at_any_node(
    nodes: dict[str, EmbeddedStore],
) -> None:
    harbor = nodes["harbor"]
    sealed = sealed_in(harbor)
    more = rewrapped(harbor, sealed)
    copied(nodes)
    stone = erased(nodes, sealed.manifest_digest)
    assert stone.complete
    assert dict(stone.answers) == dict.fromkeys(nodes, Answer.ERASED)
    assert {sealed.envelope_cid, more, sealed.manifest_cid} < set(stone.blocks)
    for node in nodes.values():
        assert not [cid for cid in stone.blocks if node.has(cid)]
        assert node.pins() == [stone.cid]
        assert find_tombstone(node, sealed.manifest_digest, SENDER.signer) == stone
        left = [path for path in (node.path / "blocks").rglob("*") if path.is_file()]
        assert [path.name for path in left] == [stone.cid.digest.hex()]
        with pytest.raises(MissingBlock):
            read(node, sealed)


class HearsLate(EmbeddedStore):
    """Knows of one announcement only once it has waited for what members tell."""

    late: Cid | None = None
    silence: Unanswered | None = None

    def announced(self, topic: bytes) -> list[Cid]:
        return [cid for cid in super().announced(topic) if cid != self.late]

    def hear(self, topic: bytes) -> None:
        if self.silence:
            raise self.silence
        self.late = None


def rewrapped(store: Node, sealed: Sealed) -> Cid:
    """Another's envelope, for one more recipient."""
    return rewrap(
        store,
        sealed.manifest_digest,
        READER,
        wrapper=OTHER,
        recipients=[Identity.generate().recipient],
        expected_context=CONTEXT,
        expected_signer=SENDER.signer,
    )


def test_an_envelope_that_another_told_late_is_erased_too(new_store: NewStore) -> None:
    node = HearsLate(new_store("harbor").path)
    sealed = sealed_in(node)
    node.late = more = rewrapped(node, sealed)
    stone = erased({"harbor": node}, sealed.manifest_digest)
    assert more in stone.blocks
    assert stone.complete
    assert node.pins() == [stone.cid]


def test_who_does_not_tell_of_envelopes_stops_no_erasure(new_store: NewStore) -> None:
    node = HearsLate(new_store("harbor").path)
    sealed = sealed_in(node)
    node.late, node.silence = rewrapped(node, sealed), Unanswered("12D3 did not tell")
    stone = erased({"harbor": node}, sealed.manifest_digest)
    assert stone.answers == {"harbor": Answer.KEPT}  # by the pin of what was not told
    node.silence = None
    assert erased({"harbor": node}, sealed.manifest_digest, now=3_000).complete
    assert not any(node.has(cid) for cid in stone.blocks)


def test_evidence_of_a_study_is_not_erased_while_it_must_last(
    nodes: dict[str, EmbeddedStore],
) -> None:
    sealed = sealed_in(nodes["harbor"])
    with pytest.raises(EvidenceNeeded, match="for another 1 s"):
        erased(nodes, sealed.manifest_digest, now=1_999, keep_until=2_000)
    assert read(nodes["harbor"], sealed) == PLAINTEXT
    assert find_tombstone(nodes["harbor"], sealed.manifest_digest, SENDER.signer) is None
    assert erased(nodes, sealed.manifest_digest, now=2_000, keep_until=2_000).complete


def test_a_node_that_is_silent_is_named_and_can_be_asked_again(
    nodes: dict[str, EmbeddedStore],
) -> None:
    sealed = sealed_in(nodes["harbor"])
    copied(nodes)
    away = nodes["hill"].path
    away.rename(away.with_name("away"))
    stone = erased(nodes, sealed.manifest_digest)
    assert not stone.complete
    assert stone.answers["hill"] is Answer.SILENT
    away.with_name("away").rename(away)
    assert read(nodes["hill"], sealed) == PLAINTEXT
    again = erased(nodes, sealed.manifest_digest, now=3_000)
    assert again.complete
    assert set(stone.blocks) == set(again.blocks)
    assert find_tombstone(nodes["center"], sealed.manifest_digest, SENDER.signer) == again
    with pytest.raises(MissingBlock):
        read(nodes["hill"], sealed)


def erased_but_at_one(
    nodes: dict[str, EmbeddedStore],
) -> tuple[Sealed, EmbeddedStore, Tombstone]:
    """An artefact that all `nodes` erased, but for one, which leaves them and lost the manifest."""
    sealed = sealed_in(nodes["harbor"])
    copied(nodes)
    late = nodes.pop("hill")
    stone = erased(nodes, sealed.manifest_digest)
    late.unpin(sealed.envelope_cid)
    late.forget([sealed.manifest_cid, sealed.envelope_cid])
    return sealed, late, stone


def test_a_node_that_lost_the_manifest_is_cleaned_by_what_the_tombstone_lists(
    nodes: dict[str, EmbeddedStore],
) -> None:
    sealed, late, stone = erased_but_at_one(nodes)
    assert any(late.has(cid) for cid in stone.blocks)
    assert erased(nodes | {"hill": late}, sealed.manifest_digest).complete
    assert not any(late.has(cid) for cid in stone.blocks)


def test_a_silent_node_is_cleaned_by_the_tombstone_of_a_key_that_was_exchanged_since(
    nodes: dict[str, EmbeddedStore],
) -> None:
    sealed, late, first = erased_but_at_one(nodes)
    everywhere = nodes | {"hill": late}
    renewed = Sender(SENDER.address, SigningKey(b"\x03" * 32))
    with pytest.raises(MissingBlock):
        erased(everywhere, sealed.manifest_digest, renewed)
    assert any(late.has(cid) for cid in first.blocks)
    again = erased(everywhere, sealed.manifest_digest, renewed, [SENDER.signer], now=3_000)
    assert again.complete
    assert again.signer == renewed.signer
    assert not any(late.has(cid) for cid in first.blocks)
    both = SENDER.signer, renewed.signer
    assert find_tombstone(late, sealed.manifest_digest, *both) == again


def test_where_no_node_answers_nothing_is_said_to_be_erased(
    nodes: dict[str, EmbeddedStore],
) -> None:
    sealed = sealed_in(nodes["harbor"])
    for node in nodes.values():
        shutil.rmtree(node.path)
    with pytest.raises(Unreachable):
        erased(nodes, sealed.manifest_digest)
    with pytest.raises(MissingBlock, match="no node was named"):
        erased({}, sealed.manifest_digest)


def test_another_artefact_stays_whole(nodes: dict[str, EmbeddedStore]) -> None:
    harbor = nodes["harbor"]
    doomed, kept = sealed_in(harbor), sealed_in(harbor)
    copied(nodes)
    assert erased(nodes, doomed.manifest_digest).complete
    for node in nodes.values():
        assert read(node, kept) == PLAINTEXT
        assert kept.envelope_cid in node.pins()


def test_an_envelope_of_another_artefact_announced_here_is_not_erased(
    nodes: dict[str, EmbeddedStore],
) -> None:
    harbor = nodes["harbor"]
    doomed, victim = sealed_in(harbor), sealed_in(harbor, OTHER)
    harbor.announce(doomed.manifest_digest, victim.envelope_cid, victim.manifest_cid)
    copied(nodes)
    stone = erased(nodes, doomed.manifest_digest)
    assert victim.envelope_cid not in stone.blocks
    assert read(harbor, victim, OTHER) == PLAINTEXT
    assert victim.envelope_cid in harbor.pins()


def test_a_manifest_that_names_anothers_payload_does_not_take_it_along(
    nodes: dict[str, EmbeddedStore],
) -> None:
    harbor = nodes["harbor"]
    victim = sealed_in(harbor, OTHER)
    theirs = read_manifest(harbor, victim.manifest_digest)
    facts = PayloadFacts(
        kind="update",
        schema=bytes(32),
        context=CONTEXT,
        payload=theirs.payload,
        plaintext_size=theirs.plaintext_size,
        nonce_prefix=bytes(7),
        key_commitment=bytes(32),
        commitment=bytes(32),
    )
    attack = write_manifest(harbor, facts, SENDER)
    copied(nodes)
    stone = erased(nodes, attack.digest)
    assert set(stone.answers.values()) == {Answer.KEPT}
    assert not harbor.has(attack)
    for node in nodes.values():
        assert read(node, victim, OTHER) == PLAINTEXT


def test_a_payload_that_was_pinned_by_itself_goes_too(nodes: dict[str, EmbeddedStore]) -> None:
    harbor = nodes["harbor"]
    sealed = sealed_in(harbor)
    harbor.pin(read_manifest(harbor, sealed.manifest_digest).payload, sealed.manifest_cid)
    assert erased({"harbor": harbor}, sealed.manifest_digest).complete
    assert len(harbor.pins()) == 1


def test_a_tombstone_of_another_signer_is_not_taken_for_this_ones(
    nodes: dict[str, EmbeddedStore],
) -> None:
    harbor = nodes["harbor"]
    sealed = sealed_in(harbor)
    stone = erased({"harbor": harbor}, sealed.manifest_digest)
    digest = sealed.manifest_digest
    assert find_tombstone(harbor, digest, OTHER.signer) is None
    assert read_tombstone(harbor, stone.cid, digest, SENDER.signer) == stone
    with pytest.raises(WrongSigner):
        read_tombstone(harbor, stone.cid, digest, OTHER.signer)
    with pytest.raises(MalformedRecord, match="another artefact"):
        read_tombstone(harbor, stone.cid, bytes(32), SENDER.signer)


def test_a_strangers_tombstone_has_nothing_else_erased(nodes: dict[str, EmbeddedStore]) -> None:
    harbor = nodes["harbor"]
    doomed, victim = sealed_in(harbor), sealed_in(harbor, OTHER)
    copied(nodes)
    first = erased(nodes, doomed.manifest_digest)
    blocks = [bytes(victim.envelope_cid), bytes(victim.manifest_cid)]
    body = {"answers": [], "blocks": blocks, "erased_at": 9_999, "reason": "x"}
    body["manifest"] = doomed.manifest_digest
    cid = harbor.put_block(Codec.DAG_CBOR, sign_record(TOMBSTONE, body, OTHER))
    harbor.announce(doomed.manifest_digest, cid)
    again = erased(nodes, doomed.manifest_digest, now=3_000)
    assert set(again.blocks) == set(first.blocks)
    assert victim.envelope_cid in harbor.pins()
    assert read(harbor, victim, OTHER) == PLAINTEXT


@pytest.mark.parametrize(
    "change",
    [
        {"answers": [{"node": "a", "answer": "perhaps"}]},
        {"answers": [{"node": "a"}]},
        {"blocks": [b"short"]},
        {"blocks": [7]},
        {"erased_at": "now"},
    ],
    ids=["an answer", "no answer", "a short block", "a number", "a time"],
)
def test_an_ill_formed_tombstone_is_refused_and_hides_none(
    nodes: dict[str, EmbeddedStore], change: dict[str, object]
) -> None:
    harbor = nodes["harbor"]
    digest = sealed_in(harbor).manifest_digest
    stone = erased({"harbor": harbor}, digest)
    body = {"answers": [], "blocks": [], "erased_at": 9_999, "manifest": digest, "reason": "x"}
    cid = harbor.put_block(Codec.DAG_CBOR, sign_record(TOMBSTONE, body | change, SENDER))
    harbor.announce(digest, cid)
    with pytest.raises(MalformedRecord):
        read_tombstone(harbor, cid, digest, SENDER.signer)
    assert find_tombstone(harbor, digest, SENDER.signer) == stone


def test_junk_that_rotted_hides_no_tombstone(nodes: dict[str, EmbeddedStore]) -> None:
    harbor = nodes["harbor"]
    digest = sealed_in(harbor).manifest_digest
    stone = erased({"harbor": harbor}, digest)
    junk = harbor.put_block(Codec.DAG_CBOR, b"\x65other")
    harbor.announce(digest, junk)
    name = junk.digest.hex()
    (harbor.path / "blocks" / name[:2] / name).write_bytes(b"rotten")
    with pytest.raises(CorruptBlock):
        harbor.get_block(junk)
    assert find_tombstone(harbor, digest, SENDER.signer) == stone


def test_a_forged_tombstone_has_a_bad_signature(nodes: dict[str, EmbeddedStore]) -> None:
    harbor = nodes["harbor"]
    digest = sealed_in(harbor).manifest_digest
    stone = erased({"harbor": harbor}, digest)
    block = harbor.get_block(stone.cid).replace(b"the patient asked", b"the patient  died")
    forged = harbor.put_block(Codec.DAG_CBOR, block)
    with pytest.raises(BadSignature):
        read_tombstone(harbor, forged, digest, SENDER.signer)


def test_a_store_forgets_no_block_that_a_pin_needs(new_store: NewStore) -> None:
    store = new_store("a")
    sealed = sealed_in(store)
    stray = store.put_block(Codec.RAW, b"stray")
    payload = read_manifest(store, sealed.manifest_digest).payload
    assert store.forget([payload, stray, dag_cbor_cid(bytes(32))]) == [payload]
    assert read(store, sealed) == PLAINTEXT
    assert not store.has(stray)


def test_a_node_that_cannot_tell_what_its_pins_need_keeps_all(
    nodes: dict[str, EmbeddedStore],
) -> None:
    harbor = nodes["harbor"]
    doomed, other = sealed_in(harbor), sealed_in(harbor)
    copied(nodes)
    name = other.manifest_digest.hex()
    (nodes["hill"].path / "blocks" / name[:2] / name).write_bytes(b"damaged")
    stone = erased(nodes, doomed.manifest_digest)
    assert stone.answers == dict.fromkeys(nodes, Answer.ERASED) | {"hill": Answer.KEPT}
    assert nodes["hill"].has(doomed.manifest_cid)


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSwarm]:
    """Nodes of their own: where other tests left a damaged pin, nothing can be erased."""
    with PrivateSwarm(tmp_path_factory.mktemp("erasure"), ["harbor", "hill", "center"]) as running:
        yield running


@pytest.mark.engine("kubo")
@pytest.mark.processes
@pytest.mark.timeout(1800)
def test_real_nodes_erase_what_they_fetched_from_each_other(swarm: PrivateSwarm) -> None:
    with (
        swarm.store("harbor", find_s=3) as harbor,
        swarm.store("hill", find_s=PATIENT_S) as hill,
        swarm.store("center", find_s=PATIENT_S) as center,
    ):
        found = {"harbor": harbor, "hill": hill, "center": center}
        sealed = sealed_in(harbor)
        hill.pin(sealed.envelope_cid)
        assert read(center, sealed) == PLAINTEXT
        known = [sealed.envelope_cid]
        assert eventually(lambda: hill.announced(sealed.manifest_digest) == known)
        hill.find_s = center.find_s = 3  # what is gone is gone everywhere
        stones = [erased(found, sealed.manifest_digest)]

        def complete() -> bool:  # a node that is slow to answer keeps what it has until asked again
            if not stones[-1].complete:
                later = 2_000 + len(stones)  # the last word counts
                stones.append(erased(found, sealed.manifest_digest, now=later))
            return stones[-1].complete

        assert eventually(complete)
        stone = stones[-1]
        for node in found.values():
            assert not [cid for cid in stone.blocks if node.has(cid)]
            assert sealed.envelope_cid not in node.pins()
        with pytest.raises(MissingBlock):
            read(center, sealed)
        assert find_tombstone(hill, sealed.manifest_digest, SENDER.signer) == stone


class Hasty(KuboStore):
    """Soon gives up to remove blocks, for which a node with a damaged pin uses all its time."""

    def forget(self, cids: Iterable[Cid]) -> list[Cid]:
        patience, self.rpc.timeout_s = self.rpc.timeout_s, 8.0
        try:
            return super().forget(cids)
        finally:
            self.rpc.timeout_s = patience


@pytest.mark.engine("kubo")
@pytest.mark.processes
@pytest.mark.timeout(1800)
def test_a_real_node_with_a_damaged_pin_keeps_all_and_does_not_pass_for_silent(
    swarm: PrivateSwarm,
) -> None:
    url = swarm.nodes["hill"].api_url
    with Hasty(url, find_s=1) as hill, swarm.store("center", find_s=1) as center:
        doomed, other = sealed_in(hill), sealed_in(hill)
        block = hill.get_block(other.manifest_cid)
        kubo_file(swarm.nodes["hill"], other.manifest_cid).unlink()
        found = {"hill": hill, "center": center}
        stone = erased(found, doomed.manifest_digest)
        assert stone.answers["hill"] is Answer.KEPT
        assert hill.has(doomed.manifest_cid)
        hill.put_block(Codec.DAG_CBOR, block)
        assert eventually(lambda: erased(found, doomed.manifest_digest).complete)
        assert not any(hill.has(cid) for cid in stone.blocks)
        assert read(hill, other) == PLAINTEXT


@pytest.mark.engine("kubo")
@pytest.mark.processes
@pytest.mark.timeout(1800)
def test_a_real_node_parts_with_what_is_given_up_and_with_nothing_else(
    swarm: PrivateSwarm,
) -> None:
    with (
        swarm.store("harbor", find_s=1) as harbor,
        swarm.store("center", find_s=PATIENT_S) as center,
    ):
        over, running = sealed_in(harbor), sealed_in(harbor)
        center.pin(over.envelope_cid)
        shared = read_manifest(harbor, over.manifest_digest).payload
        harbor.pin(shared)  # another needs it
        found = find_garbage(harbor, [over.envelope_cid])
        assert found.roots == (over.envelope_cid,)
        assert set(found.blocks) == {over.envelope_cid, over.manifest_cid}
        assert harbor.has(over.manifest_cid)
        assert remove(harbor, found) == []
        assert not any(harbor.has(cid) for cid in found.blocks)
        assert harbor.has(shared)
        assert read(harbor, running) == PLAINTEXT
        assert over.envelope_cid in center.pins()  # another member's copy is its own matter
        assert read(center, over) == PLAINTEXT
        assert find_garbage(center, [over.envelope_cid], [shared]).size > len(PLAINTEXT)
