"""A finished study's artefacts erased and collected: when, by whom, and what an audit then says."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from api.cli.main import main
from chain.types import StudyId
from federated.auditor import Level, Outcome
from federated.collecting import find_leftovers
from federated.erasing import erase_own, keep_until, own_artefacts, own_evidence
from federated.errors import StepError
from federated.party import Party
from federated.study import read_study, terms_of
from storage.cid import Cid, Codec, dag_cbor_cid
from storage.embedded import EmbeddedStore
from storage.erasure import Node, envelopes_of, erase
from storage.errors import EvidenceNeeded, MissingBlock
from storage.garbage import remove
from storage.manifest import read_manifest
from storage.signing import Sender, SigningKey
from storage.store import BlockStore
from tests.e2e import kit
from tests.e2e.kit import World
from tests.e2e.stores import NODES, Swarm
from tests.storage.kit import LONG, eventually, paused

pytestmark = pytest.mark.engine("anvil")
BOTH = (Level.KEYLESS, Level.KEYED)
REASON = "its agreement ended"


def node_of(store: BlockStore) -> Node:
    assert isinstance(store, Node)
    return store


def nodes_of(party: Party) -> dict[str, Node]:
    return {party.name: node_of(party.store)}


def end(world: World) -> None:
    """The study's evidence may go."""
    world.clock.advance_to(world.read().terms.refund_at + 1)


def update_of(world: World, number: int, hospital: str) -> bytes:
    return kit.submission_of(world, number, hospital).manifest


def erase_update(world: World, number: int = 2, hospital: str = "harbor") -> bytes:
    party, digest = world.party(hospital), update_of(world, number, hospital)
    assert erase_own(party, world.study, digest, nodes_of(party), REASON).complete
    return digest


def test_evidence_is_erased_only_when_it_need_not_last_and_then_audited_as_erased(
    finished: World,
) -> None:
    kit.assert_sound(finished)
    with pytest.raises(EvidenceNeeded, match=r"evidence of a study until 20\d\d-\d\d-\d\d .* UTC"):
        erase_update(finished)
    kit.assert_sound(finished)
    end(finished)
    erase_update(finished)
    wanted = {"update-manifest"}, {"update-manifest", "exclusion"}
    for level, checks in zip(BOTH, wanted, strict=True):
        verdict = finished.audit(level, "relayer" if level is Level.KEYLESS else "auditor")
        assert verdict.outcome is Outcome.ERASED
        assert not verdict.ok
        assert {check.name for check in verdict.failures} == checks
        assert all(REASON in check.detail for check in verdict.failures)
        assert {check.hospital for check in verdict.failures} == {finished.index("harbor")}
    other = kit.submission_of(finished, 2, "north").manifest
    kit.lose(finished, other)
    for level in BOTH:
        assert finished.audit(level).outcome is Outcome.TAMPERED


def test_a_model_that_the_center_erased_is_audited_as_erased(finished: World) -> None:
    end(finished)
    center = finished.center
    models = own_evidence(center, finished.read())
    assert [(item.kind, item.round_number) for item in models] == [
        ("global-model", 1),
        ("global-model", 2),
    ]
    assert erase_own(center, finished.study, models[0].digest, nodes_of(center), REASON).complete
    keyless, keyed = (finished.audit(level) for level in BOTH)
    assert {(c.name, c.round_number) for c in keyless.failures} == {("model-bytes", 1)}
    assert {(c.name, c.round_number) for c in keyed.failures} == {
        *(("model-bytes", 1), ("model", 1), ("aggregate", 2)),
    }
    assert keyless.outcome is keyed.outcome is Outcome.ERASED


def test_what_a_node_still_has_is_not_listed_as_erased_and_an_exchanged_key_cleans_it(
    finished: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    end(finished)
    owner, digest = finished.party("harbor"), update_of(finished, 2, "harbor")
    away, mirror = tmp_path / "away", tmp_path / "mirror"
    shutil.copytree(finished.folder / "store", mirror)
    nodes = nodes_of(owner) | {"mirror": EmbeddedStore(mirror)}
    mirror.rename(away)
    first = erase_own(owner, finished.study, digest, nodes, REASON)
    assert not first.complete

    def listed(party: Party) -> tuple[object, object]:
        (own,) = (own for own in own_artefacts(party, finished.read()) if own.item.digest == digest)
        return own.erased_at, own.left_at

    assert listed(owner) == (None, ["mirror"])
    monkeypatch.setattr("api.cli.storage.open_party", lambda *_: owner)
    assert main(["storage", "list", str(finished.study)]) == 0
    assert "not at mirror" in capsys.readouterr().out
    renewed = _renewed(owner)
    assert listed(renewed) == (None, ["mirror"])
    away.rename(mirror)
    nodes["mirror"].unpin(
        envelopes_of([nodes["mirror"]], read_manifest(nodes["mirror"], digest))[0]
    )
    nodes["mirror"].forget([dag_cbor_cid(digest)])
    finished.clock.advance(10)
    last = erase_own(renewed, finished.study, digest, nodes, REASON)
    assert last.complete
    assert not any(nodes["mirror"].has(cid) for cid in first.blocks)
    assert listed(renewed) == (last.erased_at, [])
    assert finished.audit(Level.KEYLESS).outcome is Outcome.ERASED


def _renewed(party: Party) -> Party:
    """The same party with another signing key, which it publishes."""
    after = replace(party, sender=Sender(party.sender.address, SigningKey.generate()))
    kit.register(after)
    return after


def test_nobody_erases_what_another_sealed(finished: World) -> None:
    end(finished)
    digest = update_of(finished, 2, "harbor")
    for name in "north", "center":
        party = finished.party(name)
        with pytest.raises(StepError, match="only who sealed an artefact can erase it"):
            erase_own(party, finished.study, digest, nodes_of(party), REASON)
    kit.assert_sound(finished)


@pytest.mark.parametrize("who", ["the center", "a stranger under its address"])
def test_another_ones_tombstone_excuses_nothing(finished: World, who: str) -> None:
    end(finished)
    digest, owner = update_of(finished, 2, "harbor"), finished.party("harbor")
    forged = Sender(owner.sender.address, SigningKey.generate())
    sender = finished.center.sender if who == "the center" else forged
    now = finished.clock.now()
    erase(nodes_of(owner), digest, sender=sender, reason=REASON, now=now, keep_until=0)
    for level in BOTH:
        assert finished.audit(level).outcome is Outcome.TAMPERED


def test_a_tombstone_of_no_possible_time_excuses_nothing_and_stops_no_audit(
    finished: World,
) -> None:
    end(finished)
    owner, digest = finished.party("harbor"), update_of(finished, 2, "harbor")
    erase(nodes_of(owner), digest, sender=owner.sender, reason="x", now=2**63, keep_until=0)
    assert finished.audit(Level.KEYLESS).outcome is Outcome.TAMPERED


@pytest.mark.parametrize("stated", ["in time", "as if it were later"])
def test_a_tombstone_made_too_early_excuses_nothing_while_evidence_must_last(
    finished: World, stated: str
) -> None:
    owner, digest = finished.party("harbor"), update_of(finished, 2, "harbor")
    refund_at = finished.read().terms.refund_at
    now = finished.clock.now() if stated == "in time" else refund_at + 1
    sender = owner.sender
    erase(nodes_of(owner), digest, sender=sender, reason=REASON, now=now, keep_until=0)
    assert finished.audit(Level.KEYLESS).outcome is Outcome.TAMPERED
    end(finished)
    later = Outcome.TAMPERED if stated == "in time" else Outcome.ERASED  # nobody else dates it
    assert finished.audit(Level.KEYLESS).outcome is later


def test_what_is_corrupt_is_not_excused_by_a_tombstone(finished: World) -> None:
    end(finished)
    store = finished.auditor.store
    digest = update_of(finished, 2, "harbor")
    block = store.get_block(dag_cbor_cid(digest))
    erase_update(finished)
    store.put_block(Codec.DAG_CBOR, block)  # the manifest alone: its payload is gone
    assert finished.audit(Level.KEYLESS).outcome is Outcome.ERASED
    kit.flip(finished, digest)
    assert finished.audit(Level.KEYLESS).outcome is Outcome.TAMPERED


def test_a_member_that_was_not_asked_collects_what_its_sender_erased(
    finished: World,
) -> None:
    center, harbor = finished.center, finished.party("harbor")
    end(finished)
    digest = update_of(finished, 2, "harbor")
    kept = {cid: center.store.get_block(cid) for cid in _blocks(center, digest)}
    pins = set(center.store.pins())
    erase_update(finished)
    for cid, block in kept.items():  # as if the center's had been another node
        center.store.put_block(cid.codec, block)
    mine = [cid for cid in kept if cid in pins]
    center.store.pin(*mine)
    store = node_of(center.store)
    found = find_leftovers(center, store)
    assert set(found.roots) == set(mine)
    assert set(found.blocks) == set(kept)
    assert found.size == sum(map(len, kept.values()))
    assert all(store.has(cid) for cid in kept)  # nothing has changed yet
    assert remove(store, found) == []
    assert not any(store.has(cid) for cid in kept)
    assert finished.audit(Level.KEYLESS).outcome is Outcome.ERASED
    assert find_leftovers(harbor, store).blocks == ()


@LONG
@pytest.mark.engine("kubo")
@pytest.mark.parametrize("backend", ["kubo"], indirect=True)
def test_over_real_nodes_each_member_collects_what_the_sender_erased_at_its_own(
    finished: World,
) -> None:
    end(finished)
    digest = update_of(finished, 2, "harbor")
    kit.assert_sound(finished)  # the auditor's node now has copies, too
    for name in NODES:
        _put_back(finished, name, _blocks(finished.party(name), digest))
    erase_update(finished)
    keyed = finished.audit(Level.KEYED)
    assert keyed.ok  # by what other nodes still have
    for name in NODES:
        party = finished.party(name)
        store = node_of(party.store)
        assert remove(store, find_leftovers(party, store)) == []
    keyed = finished.audit(Level.KEYED)
    assert keyed.outcome is Outcome.ERASED, keyed.failures
    assert {check.name for check in keyed.failures} == {"update-manifest", "exclusion"}


@LONG
@pytest.mark.engine("kubo")
@pytest.mark.parametrize("backend", ["kubo"], indirect=True)
def test_over_real_nodes_a_silent_member_makes_an_audit_incomplete_and_nobody_tampered(
    finished: World,
) -> None:
    stores = finished.stores
    assert isinstance(stores, Swarm)
    kit.assert_sound(finished)  # the auditor's node has copies of all now
    digest = update_of(finished, 2, "harbor")
    for path in stores.copies(digest):
        if not path.is_relative_to(stores.swarm.nodes["harbor"].repo):
            _lose_until_the_end(finished, path)
    with paused(stores.swarm, "harbor") as peer:
        verdict = finished.audit(Level.KEYLESS)
        assert verdict.outcome is Outcome.INCOMPLETE, verdict.failures
        (check,) = verdict.failures
        assert (check.name, check.hospital) == ("update-manifest", finished.index("harbor"))
        assert peer in check.detail
    assert eventually(lambda: finished.audit(Level.KEYLESS).ok)
    kit.lose(finished, digest)  # now it is nowhere, and all say so
    assert finished.audit(Level.KEYLESS).outcome is Outcome.TAMPERED


def _lose_until_the_end(world: World, path: Path) -> None:
    block = path.read_bytes()
    path.unlink()
    world.spoiled.append(lambda: path.exists() or path.write_bytes(block))


def _put_back(world: World, name: str, blocks: set[Cid]) -> None:
    """After the test: the nodes serve other tests, too."""
    store = world.party(name).store
    kept = {cid: store.get_block(cid) for cid in blocks if store.has(cid)}
    pins = set(store.pins()) & blocks

    def put_back() -> None:
        for cid, block in kept.items():
            store.put_block(cid.codec, block)
        store.pin(*pins)

    world.spoiled.append(put_back)


def _blocks(party: Party, digest: bytes) -> set[Cid]:
    manifest = read_manifest(party.store, digest)
    return {manifest.cid, manifest.payload, *envelopes_of([party.store], manifest)}


def test_a_study_is_given_up_after_its_refund_and_nothing_of_others_goes(finished: World) -> None:
    auditor, store = finished.auditor, node_of(finished.auditor.store)
    with pytest.raises(
        StepError, match=r"must last until 20\d\d-\d\d-\d\d .* UTC, for another \d+ s"
    ):
        find_leftovers(auditor, store, [finished.study])
    end(finished)
    assert find_leftovers(auditor, store).blocks == ()
    own = {cid for cid in store.pins() if cid.codec is Codec.RAW}
    digest = update_of(finished, 1, "north")
    found = find_leftovers(auditor, store, [finished.study])
    assert found.size > 0
    remove(store, found)
    with pytest.raises(MissingBlock):
        store.get_block(dag_cbor_cid(digest))
    assert not any(store.has(cid) for cid in found.blocks)
    assert own <= set(store.pins())  # published keys
    assert all(store.has(cid) for cid in store.pins())
    assert find_leftovers(auditor, store, [finished.study]).blocks == ()


def _open_again(world: World) -> StudyId:
    """Another study by the very same spec, which runs."""
    study, center = world.read(), world.center
    token, client = center.chain.token(study.terms.token), center.chain.client
    budget = study.spec.reward.budget_wei
    terms = terms_of(study.spec, token=study.terms.token, opened_at=world.clock.now())
    client.send(token.mint(center.address, budget))
    client.send(token.approve(center.chain.escrow.address, budget))
    client.send(center.chain.studies.open(terms, list(study.auditors), budget))
    return StudyId(center.chain.studies.count(block_identifier=center.head()))


def test_what_a_running_study_shares_with_one_that_is_given_up_stays(finished: World) -> None:
    end(finished)
    running = _open_again(finished)
    auditor, spec = finished.auditor, dag_cbor_cid(finished.read().spec_digest)
    store = node_of(auditor.store)
    found = find_leftovers(auditor, store, [finished.study])
    assert found.size > 0
    assert spec not in {*found.roots, *found.blocks}
    remove(store, found)
    assert read_study(auditor.chain, store, running, auditor.head()).spec.name
    with pytest.raises(StepError, match=f"study {running} is not over"):
        find_leftovers(auditor, store, [running])


def test_a_running_study_whose_spec_nobody_has_stops_collecting_and_no_erasure(
    finished: World,
) -> None:
    end(finished)
    _open_again(finished)
    study, north = finished.read(), finished.party("north")
    kit.lose(finished, study.spec_digest)
    auditor = finished.auditor
    with pytest.raises(MissingBlock):
        find_leftovers(auditor, node_of(auditor.store))
    assert keep_until(north, update_of(finished, 1, "north"), study) == study.terms.refund_at
