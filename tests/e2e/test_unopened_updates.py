"""Updates that open for some, for nobody, or are not there: none stops a round for ever."""

from __future__ import annotations

import importlib
import os
from collections.abc import Collection

import pytest

from chain.types import Address, BlockNumber, RoundNumber
from federated.auditor.words import Signed, rule_on_list, rule_on_update
from federated.center import finalize, open_round
from federated.challenging import freeze_of, submission_of
from federated.context import update_context
from federated.errors import StepError
from federated.exclusion import ExclusionCode
from federated.hospital import freeze
from federated.hospital.freeze import frozen_commitment
from federated.models import update_schema
from federated.party import Party
from federated.published import read_result
from storage.cid import Cid, Codec
from storage.envelope import write_envelope
from storage.errors import Unanswered, caused_by
from storage.keys import Identity, RecipientKey
from storage.manifest import PayloadFacts, read_manifest, write_manifest
from storage.payload import key_commitment
from storage.store import put_record
from tests.e2e import kit
from tests.e2e.kit import World
from tests.e2e.stores import ON_BOTH
from tests.storage.kit import eventually

pytestmark = [pytest.mark.engine("anvil"), ON_BOTH]

FIRST = RoundNumber(1)
VALLEY, OTHERS = "valley", ("north", "harbor")
training = importlib.import_module("federated.hospital.train")  # the function hides the module


def _submit_sealed_badly(
    world: World, patch: pytest.MonkeyPatch, strangers: Collection[str]
) -> None:
    """All submit; valley wraps to keys of nobody in the place of those of `strangers`."""
    open_round(world.center, world.study)
    kit.freeze_and_submit(world, FIRST, OTHERS)
    honest = training.recipient_at
    missed = {world.keys[name].address for name in strangers}

    def cheat(party: Party, account: Address, block: BlockNumber) -> RecipientKey:
        found: RecipientKey = honest(party, account, block)
        return Identity.generate().recipient if account in missed else found

    with patch.context() as patched:
        patched.setattr(training, "recipient_at", cheat)
        kit.freeze_and_submit(world, FIRST, [VALLEY])


def _rule(world: World) -> Signed | None:
    """The auditor tries valley's update; again where a busy member did not answer in time."""
    study = world.read()
    frozen = freeze_of(world.auditor, study, FIRST, world.index(VALLEY))
    event = submission_of(world.auditor, frozen)
    found: list[Signed | None] = []

    def is_ruled() -> bool:
        try:
            found.append(rule_on_update(world.auditor, study, frozen, event))
        except StepError as exc:
            if caused_by(exc, Unanswered) is None:
                raise
        return bool(found)

    assert eventually(is_ruled)
    return found[0]


def _code(world: World) -> ExclusionCode | None:
    manifest, _, _ = read_result(world.center, world.read(), FIRST, world.center.head())
    return {entry.hospital: entry.code for entry in manifest.entries}[world.index(VALLEY)]


def test_an_update_that_opens_for_the_center_alone_is_opened_to_auditors(
    granted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _submit_sealed_badly(granted, monkeypatch, ["auditor"])
    finalize(granted.center, granted.study, FIRST)
    assert _code(granted) is None
    kit.assert_sound(granted)


def test_an_update_that_opens_for_the_auditor_alone_is_opened_to_the_center(
    granted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _submit_sealed_badly(granted, monkeypatch, ["center"])
    garbage = put_record(granted.auditor.store, ["no envelope"])
    sealed = kit.submission_of(granted, 1, VALLEY).manifest
    granted.auditor.store.announce(sealed, garbage)
    with pytest.raises(StepError, match="challenge unopened"):
        finalize(granted.center, granted.study, FIRST)
    assert _rule(granted) is None
    finalize(granted.center, granted.study, FIRST)
    assert _code(granted) is None
    kit.assert_sound(granted)


def test_an_update_that_opens_for_nobody_is_left_out_by_an_auditors_word(
    granted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _submit_sealed_badly(granted, monkeypatch, ["center", "auditor"])
    with pytest.raises(StepError, match="challenge unopened"):
        finalize(granted.center, granted.study, FIRST)
    assert _rule(granted) is not None
    finalize(granted.center, granted.study, FIRST)
    assert _code(granted) is ExclusionCode.UNDECRYPTABLE
    kit.assert_sound(granted)


def test_an_update_that_nobody_has_is_left_out_when_submitting_is_over(granted: World) -> None:
    open_round(granted.center, granted.study)
    kit.freeze_and_submit(granted, FIRST)
    sealed = kit.submission_of(granted, 1, VALLEY)
    payload = read_manifest(granted.center.store, sealed.manifest).payload
    kit.lose(granted, payload)
    with pytest.raises(StepError, match="in no member's store"):
        finalize(granted.center, granted.study, FIRST)
    with pytest.raises(StepError, match="submitBy"):
        _rule(granted)
    granted.clock.advance_to(kit.round_at(granted, 1).submit_by + 1)
    assert _rule(granted) is not None
    frozen = freeze_of(granted.auditor, granted.read(), FIRST, granted.index(VALLEY))
    with pytest.raises(StepError, match="is there"):
        rule_on_list(granted.auditor, granted.read(), frozen)
    finalize(granted.center, granted.study, FIRST)
    assert _code(granted) is ExclusionCode.UNDECRYPTABLE
    kit.assert_sound(granted)


def _submit_artefact(world: World, payload: Cid, size: int) -> None:
    """Valley signs a manifest over any payload, and submits it."""
    node, spec = world.node(VALLEY), world.read().spec
    freeze(node, world.study, FIRST)
    party, data_key = node.party, os.urandom(32)
    context = update_context(
        chain_id=party.chain.client.chain_id,
        rounds=party.chain.rounds.address,
        study=world.study,
        round_number=FIRST,
        spec=spec.digest(),
        state=kit.round_at(world, 1).start_state,
        root=frozen_commitment(node, world.read(), FIRST).root,
    )
    facts = PayloadFacts(
        kind="update",
        schema=update_schema(spec).digest(),
        context=context,
        payload=payload,
        plaintext_size=size,
        nonce_prefix=bytes(7),
        key_commitment=key_commitment(data_key, context),
        commitment=bytes(31) + b"c",
    )
    manifest = read_manifest(party.store, write_manifest(party.store, facts, party.sender).digest)
    keys = [world.keys[name].identity.recipient for name in ("center", "auditor")]
    write_envelope(party.store, manifest, data_key, party.sender, keys)
    call = party.chain.rounds.submit(world.study, FIRST, manifest.digest, facts.commitment)
    party.chain.client.send(call)


@pytest.mark.parametrize(
    ("codec", "size", "code"),
    [
        (Codec.DAG_CBOR, 300, ExclusionCode.UNDECRYPTABLE),  # a payload that is no file
        (Codec.RAW, 300, ExclusionCode.UNDECRYPTABLE),  # cut short
        (Codec.RAW, 1 << 50, ExclusionCode.SHAPE),  # more than anybody could read
    ],
)
def test_a_payload_that_cannot_be_read_is_left_out_by_rule(
    granted: World, codec: Codec, size: int, code: ExclusionCode
) -> None:
    open_round(granted.center, granted.study)
    kit.freeze_and_submit(granted, FIRST, OTHERS)
    _submit_artefact(granted, granted.center.store.put_block(codec, b"\x80"), size)
    finalize(granted.center, granted.study, FIRST)
    assert _code(granted) is code
    kit.assert_sound(granted)


def test_a_hospital_whose_key_is_nowhere_stops_nobody(granted: World) -> None:
    open_round(granted.center, granted.study)
    kit.freeze_and_submit(granted, FIRST)
    kit.lose(granted, granted.keys[VALLEY].identity.recipient.key_id)
    finalize(granted.center, granted.study, FIRST)
    kit.assert_sound(granted)
