"""A center that runs other code than ours: what it binds on-chain is found, and named."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chain.errors import TxReverted
from chain.types import RoundNumber
from federated.aggregate import WeightedSum
from federated.auditor import Level
from federated.center import finalize
from federated.errors import PolicyRefused
from federated.exclusion import ExclusionCode
from federated.grid import Grid
from federated.hospital import Policy, approve
from federated.judging import Judged
from federated.models import update_schema
from federated.round_manifest import RoundManifest
from federated.state import GlobalState
from storage.signing import Sender, SigningKey
from tests.e2e import kit
from tests.e2e.kit import World
from tests.e2e.stores import ON_BOTH

pytestmark = [pytest.mark.engine("anvil"), ON_BOTH]

Patch = pytest.MonkeyPatch
center = importlib.import_module("federated.center.aggregate")  # the function hides the module
collecting = importlib.import_module("federated.center.inputs")
SECOND = RoundNumber(2)
opening = importlib.import_module("federated.center.rounds")
requesting = importlib.import_module("federated.center.request")


def _finalize(world: World) -> None:
    """Round 2, as the cheating center finalizes it, after an audit that finds nothing."""
    kit.assert_sound(world)
    finalize(world.center, world.study, SECOND)


def test_an_honest_finalize_passes(submitted: World) -> None:
    _finalize(submitted)
    kit.assert_sound(submitted)


def test_a_weight_in_the_manifest_is_named(submitted: World, monkeypatch: Patch) -> None:
    harbor, honest = submitted.index("harbor"), collecting._entry

    def cheat(*arguments: Any) -> Any:
        entry = honest(*arguments)
        return replace(entry, weight=entry.weight + 1) if entry.hospital == harbor else entry

    monkeypatch.setattr(collecting, "_entry", cheat)
    _finalize(submitted)
    for level in Level.KEYLESS, Level.KEYED:
        assert kit.found_at(submitted, level) == {("weight", 2, "harbor")}


def test_another_weight_in_the_sum_is_found_by_a_named_auditor(
    submitted: World, monkeypatch: Patch
) -> None:
    class Heavier(WeightedSum):
        def add_judged(self, update: Any, weight: int) -> bool:
            return super().add_judged(update, weight + (self.weight == 0))

    monkeypatch.setattr(
        collecting,
        "total_of",
        lambda spec, _: Heavier(update_schema(spec), Grid.of(spec.grid)),
    )
    _finalize(submitted)
    assert kit.found_at(submitted, Level.KEYLESS) == set()
    assert kit.found_at(submitted, Level.KEYED) == {("aggregate", 2, None)}


def test_a_state_that_is_not_the_aggregate_is_found_by_a_named_auditor(
    submitted: World, monkeypatch: Patch
) -> None:
    honest: Callable[..., GlobalState] = center.next_state

    def cheat(*arguments: Any) -> GlobalState:
        state = honest(*arguments)
        parameters = {name: array.copy() for name, array in state.parameters.items()}
        next(iter(parameters.values())).flat[0] += 1
        return replace(state, parameters=parameters)

    monkeypatch.setattr(center, "next_state", cheat)
    _finalize(submitted)
    assert kit.found_at(submitted, Level.KEYLESS) == set()
    assert kit.found_at(submitted, Level.KEYED) == {("aggregate", 2, None)}


def test_a_sealed_model_that_is_not_the_finalized_one_is_found(
    submitted: World, monkeypatch: Patch
) -> None:
    honest: Callable[..., tuple[bytes, bytes]] = center.encoded_state

    def cheat(spec: Any, state: GlobalState) -> tuple[bytes, bytes]:
        return honest(spec, replace(state, round_number=1))[0], honest(spec, state)[1]

    monkeypatch.setattr(center, "encoded_state", cheat)
    _finalize(submitted)
    assert kit.found_at(submitted, Level.KEYLESS) == set()
    assert kit.found_at(submitted, Level.KEYED) == {("model", 2, None)}


def test_an_omitted_submission_is_named(submitted: World, monkeypatch: Patch) -> None:
    valley, honest = submitted.index("valley"), center.read_inputs

    def cheat(*arguments: Any) -> Any:
        inputs = honest(*arguments)
        kept = [event for event in inputs.submitted if event.index != valley]
        return replace(inputs, submitted=kept)

    monkeypatch.setattr(center, "read_inputs", cheat)
    _finalize(submitted)
    assert kit.found_at(submitted, Level.KEYLESS) == {("not-omitted", 2, "valley")}
    assert ("not-omitted", 2, "valley") in kit.found_at(submitted, Level.KEYED)


@pytest.mark.parametrize(
    "code", [ExclusionCode.OVER_CLIP, ExclusionCode.UNDECRYPTABLE, ExclusionCode.LIST_MISSING]
)
def test_an_omission_behind_a_made_up_code_is_named(
    submitted: World, monkeypatch: Patch, code: ExclusionCode
) -> None:
    valley, honest = submitted.index("valley"), collecting.judge_submission

    def cheat(party: Any, study: Any, frozen: Any, event: Any, into: Any) -> Judged:
        left_out = event.index == valley
        return Judged(None, code) if left_out else honest(party, study, frozen, event, into)

    monkeypatch.setattr(collecting, "judge_submission", cheat)
    _finalize(submitted)
    found = {("exclusion", 2, "valley")}
    assert kit.found_at(submitted, Level.KEYED) == found
    without_a_key = found if code is ExclusionCode.LIST_MISSING else set()
    assert kit.found_at(submitted, Level.KEYLESS) == without_a_key


def test_a_round_that_goes_on_from_another_parent_is_named(
    granted: World, monkeypatch: Patch
) -> None:
    kit.run_round(granted)
    kit.assert_sound(granted)
    monkeypatch.setattr(opening, "parent_round", lambda *_: RoundNumber(0))
    kit.run_round(granted)
    for level in Level.KEYLESS, Level.KEYED:
        assert kit.found_at(granted, level) == {("parent", 2, None)}


def _altered(**changes: Any) -> Callable[[RoundManifest], RoundManifest]:
    return lambda manifest: replace(manifest, **changes)


def _other_submission(manifest: RoundManifest) -> RoundManifest:
    first, *rest = manifest.entries
    return replace(manifest, entries=(replace(first, manifest=bytes(32)), *rest))


@pytest.mark.parametrize(
    ("alter", "check", "named"),
    [
        (_altered(round_number=1), "round-manifest", False),
        (_altered(study=7), "round-manifest", False),
        (_altered(state=b"x" * 32), "round-manifest", False),
        (_altered(context=bytes(32)), "round-manifest", False),
        (_altered(start_state=bytes(32)), "round-manifest", False),
        (_altered(parent=0), "round-manifest", False),
        (_altered(spec=bytes(32)), "round-manifest", False),
        (_altered(model=bytes(32)), "model-bytes", False),
        (_other_submission, "input", True),
    ],
    ids=["round", "study", "state", "context", "start state", "parent", "spec", "model", "input"],
)
def test_an_altered_round_manifest_is_found(
    submitted: World,
    monkeypatch: Patch,
    alter: Callable[[RoundManifest], RoundManifest],
    check: str,
    named: bool,
) -> None:
    honest = center._conclude
    monkeypatch.setattr(center, "_conclude", lambda *arguments: alter(honest(*arguments)))
    _finalize(submitted)
    first = _first(submitted) if named else None
    assert (check, 2, first) in kit.found_at(submitted, Level.KEYLESS)


def _first(world: World) -> str:
    return next(name for name in kit.HOSPITALS if world.index(name) == 0)


def test_a_manifest_that_another_key_signed_is_found(submitted: World, monkeypatch: Patch) -> None:
    honest, address = center.write_round_manifest, submitted.center.sender.address
    stranger = Sender(address, SigningKey.generate())
    monkeypatch.setattr(
        center, "write_round_manifest", lambda store, manifest, _: honest(store, manifest, stranger)
    )
    _finalize(submitted)
    assert ("round-manifest", 2, None) in kit.found_at(submitted, Level.KEYLESS)


def test_other_hospitals_on_chain_than_in_the_manifest_are_found(submitted: World) -> None:
    kit.assert_sound(submitted)
    done = center.aggregate(submitted.center, submitted.study, SECOND)
    rounds, client = submitted.center.chain.rounds, submitted.center.chain.client
    call = rounds.finalize(submitted.study, SECOND, 0b011, done.state, done.manifest)
    client.send(call)
    assert ("included", 2, None) in kit.found_at(submitted, Level.KEYLESS)


def test_the_chain_refuses_a_center_that_includes_nobody(submitted: World) -> None:
    done = center.aggregate(submitted.center, submitted.study, SECOND)
    rounds, client = submitted.center.chain.rounds, submitted.center.chain.client
    for included in 0b001, 0b1111:
        with pytest.raises(TxReverted):
            client.send(
                rounds.finalize(submitted.study, SECOND, included, done.state, done.manifest)
            )


def test_terms_that_differ_from_the_spec_are_found_by_hospital_and_auditor(
    granted: World, monkeypatch: Patch
) -> None:
    kit.assert_sound(granted)
    honest = requesting.terms_of
    monkeypatch.setattr(
        requesting,
        "terms_of",
        lambda *arguments, **named: replace(honest(*arguments, **named), min_hospitals=1),
    )
    token = granted.deployment.address_of("DevelopmentToken")
    spec = replace(granted.read().spec, title="Another study")
    mint = granted.center.chain.token(token).mint(granted.center.address, spec.reward.budget_wei)
    granted.center.chain.client.send(mint)
    granted.study = requesting.request_study(granted.center, spec, token)
    with pytest.raises(PolicyRefused, match="min_hospitals"):
        approve(granted.node("north"), granted.study, Policy())
    verdict = granted.audit(Level.KEYLESS, "relayer")
    assert [(check.name, check.detail) for check in verdict.failures] == [
        ("spec", "terms on-chain differ from the spec: min_hospitals")
    ]
