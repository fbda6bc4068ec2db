from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from federated.canonical import decode, encode
from federated.codec import Address, Wei
from federated.errors import SpecError
from federated.period_rules import production_warnings
from federated.rules import check_spec, ring_bits
from federated.spec import Auditor, Choice, Criterion, StudySpec
from federated.spec_files import read_bytes, read_json, read_toml
from federated.studies import wisconsin_spec


def masked(spec: StudySpec, **changes: Any) -> StudySpec:
    base = replace(
        spec,
        mode="masked",
        min_hospitals=3,
        max_hospitals=4,
        threshold=3,
        phases=replace(spec.phases, unmask_s=60),
    )
    return replace(base, **changes)


def as_toml(tree: dict[str, Any]) -> str:
    def value(item: Any) -> str:
        if isinstance(item, dict):
            return "{" + ", ".join(f'"{key}" = {value(part)}' for key, part in item.items()) + "}"
        if isinstance(item, list):
            return "[" + ", ".join(map(value, item)) + "]"
        return json.dumps(item)

    return "\n".join(f'"{key}" = {value(item)}' for key, item in tree.items())


def test_a_spec_survives_bytes_json_and_toml(spec: StudySpec) -> None:
    assert read_bytes(spec.to_bytes()) == spec
    assert read_json(spec.to_json()) == spec
    assert read_toml(as_toml(json.loads(spec.to_json()))) == spec


@pytest.mark.parametrize("family", ["logistic", "mlp"])
def test_the_wisconsin_study_is_valid_and_survives_bytes(family: str) -> None:
    study = wisconsin_spec(family=family)
    assert read_bytes(study.to_bytes()) == study


def test_amounts_beyond_64_bits_and_addresses_keep_their_value(spec: StudySpec) -> None:
    rich = replace(spec, reward=replace(spec.reward, budget_wei=Wei(2**200 + 1)))
    tree = decode(rich.to_bytes())
    assert int.from_bytes(tree["reward"]["budget_wei"], "big") == 2**200 + 1
    assert tree["auditors"] == [{"address": bytes.fromhex("a1" * 20)}]
    assert json.loads(rich.to_json())["reward"]["budget_wei"] == str(2**200 + 1)
    assert read_json(rich.to_json()).reward.budget_wei == 2**200 + 1


def test_every_leaf_of_a_spec_is_in_its_digest(spec: StudySpec) -> None:
    def changed(tree: Any) -> list[Any]:
        if isinstance(tree, dict):
            return [{**tree, key: new} for key in tree for new in changed(tree[key])]
        if isinstance(tree, list):
            return [
                [*tree[:i], new, *tree[i + 1 :]]
                for i, item in enumerate(tree)
                for new in changed(item)
            ]
        if isinstance(tree, bytes):
            return [bytes([tree[0] ^ 1]) + tree[1:]]
        return [tree + "x"] if isinstance(tree, str) else [tree + 1]

    whole = decode(spec.to_bytes())
    variants = [encode(variant) for variant in changed(whole)]
    assert len(variants) > 50
    assert len({*variants, spec.to_bytes()}) == len(variants) + 1


def set_at(tree: Any, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for name in parents:
        tree = tree[int(name)] if isinstance(tree, list) else tree[name]
    tree[last] = value


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ("rouns", 3, "rouns"),
        ("training.epoch", 3, "training.epoch"),
        ("data.features.0.mean", 3.0, "data.features[0].mean"),
        ("rounds", "3", "rounds"),
        ("rounds", True, "rounds"),
        ("rounds", 3.5, "rounds"),
        ("name", 7, "name"),
        ("training", [], "training"),
        ("auditors", {}, "auditors"),
        ("auditors", [{"address": "0x12"}], "auditors[0].address"),
        ("grid.clip_norm", "2", "grid.clip_norm"),
        ("grid.clip_norm", float("nan"), "grid.clip_norm"),
        ("grid.clip_norm", float("inf"), "grid.clip_norm"),
        ("reward.bond_wei", 5, "reward.bond_wei"),
        ("reward.bond_wei", "-5", "reward.bond_wei"),
        ("reward.bond_wei", "05", "reward.bond_wei"),
        ("reward.bond_wei", str(2**256), "reward.bond_wei"),
        ("model.config", [], "model.config"),
    ],
)
def test_an_unknown_or_mistyped_key_is_named(
    spec: StudySpec, path: str, value: Any, key: str
) -> None:
    tree = json.loads(spec.to_json())
    set_at(tree, path, value)
    with pytest.raises(SpecError) as caught:
        read_json(json.dumps(tree))
    assert caught.value.key == key
    assert str(caught.value).startswith(f"study spec: {key}: ")


@pytest.mark.parametrize("key", ["rounds", "training.epochs", "data.label.name", "terms.refund_s"])
def test_a_missing_key_is_named(spec: StudySpec, key: str) -> None:
    tree = json.loads(spec.to_json())
    *parents, last = key.split(".")
    section = tree
    for name in parents:
        section = section[name]
    del section[last]
    with pytest.raises(SpecError, match="missing") as caught:
        read_json(json.dumps(tree))
    assert caught.value.key == key


def test_text_may_leave_out_what_has_a_default_but_bytes_may_not(spec: StudySpec) -> None:
    tree = json.loads(spec.to_json())
    del tree["after_void"], tree["training"]["momentum"], tree["model"]["config"]
    assert read_json(json.dumps(tree)) == spec
    whole = decode(spec.to_bytes())
    del whole["after_void"]
    with pytest.raises(SpecError, match="after_void"):
        read_bytes(encode(whole))


def test_what_is_absent_is_in_no_form_and_has_one_only(spec: StudySpec) -> None:
    assert "updates" not in decode(spec.to_bytes())["training"]
    assert "updates" not in json.loads(spec.to_json())["training"]
    whole = decode(spec.to_bytes())
    whole["training"]["updates"] = None  # a second form of the same study would have a digest too
    with pytest.raises(SpecError, match=r"training\.updates"):
        read_bytes(encode(whole))
    steps = replace(spec, training=replace(spec.training, updates=100))
    assert read_bytes(steps.to_bytes()) == read_json(steps.to_json()) == steps
    assert steps.digest() != spec.digest()


def test_text_may_write_a_whole_number_for_a_float_but_bytes_may_not(spec: StudySpec) -> None:
    tree = json.loads(spec.to_json())
    tree["grid"]["clip_norm"] = 2
    assert read_json(json.dumps(tree)) == spec
    whole = decode(spec.to_bytes())
    whole["grid"]["clip_norm"] = 2
    with pytest.raises(SpecError, match=r"grid\.clip_norm"):
        read_bytes(encode(whole))


@pytest.mark.parametrize(
    ("read", "text"), [(read_json, "{"), (read_toml, "= 1"), (read_json, "[" * 9**5)]
)
def test_text_that_is_no_table_is_refused(read: Any, text: str) -> None:
    with pytest.raises(SpecError):
        read(text)
    with pytest.raises(SpecError):
        read_json("[]")
    with pytest.raises(SpecError):
        read_bytes(b"\xff")


def terms(spec: StudySpec, **changes: Any) -> StudySpec:
    return replace(spec, terms=replace(spec.terms, **changes))


BROKEN: list[tuple[str, Any]] = [
    ("format", lambda s: replace(s, format="consilium/study/2")),
    ("name", lambda s: replace(s, name="No Spaces")),
    ("task", lambda s: replace(s, task="clustering")),
    ("mode", lambda s: replace(s, mode="hidden")),
    ("after_void", lambda s: replace(s, after_void="stop")),
    ("purposes", lambda s: replace(s, purposes=())),
    ("purposes", lambda s: replace(s, purposes=("DUO:0000046",))),
    ("purposes", lambda s: replace(s, purposes=("HMB",))),
    ("purposes", lambda s: replace(s, purposes=("DUO:0000042", "DUO:0000006"))),
    ("data.features", lambda s: replace(s, data=replace(s.data, features=()))),
    ("data.features", lambda s: replace(s, data=replace(s.data, features=s.data.features * 2))),
    (
        "data.eligibility[0]",
        lambda s: replace(s, data=replace(s.data, eligibility=(Criterion("height", 0.0, 1.0),))),
    ),
    (
        "data.features[0]",
        lambda s: replace(
            s, data=replace(s.data, features=(replace(s.data.features[0], maximum=0.0),))
        ),
    ),
    ("split", lambda s: replace(s, split=replace(s.split, test=0.95))),
    ("split", lambda s: replace(s, split=replace(s.split, test=-0.1))),
    ("model.name", lambda s: replace(s, model=Choice("forest"))),
    ("model.config.depth", lambda s: replace(s, model=Choice("logistic", {"depth": 3}))),
    ("model.config.hidden", lambda s: replace(s, model=Choice("mlp"))),
    ("model.config.hidden", lambda s: replace(s, model=Choice("mlp", {"hidden": [0]}))),
    ("model.config.hidden", lambda s: replace(s, model=Choice("mlp", {"hidden": "16"}))),
    ("model.config", lambda s: replace(s, model=Choice("mlp", {"hidden": [65536, 65536]}))),
    (
        "model.name",
        lambda s: replace(s, model=Choice("cnn", {"channels": [4], "kernel": 3, "hidden": 8})),
    ),
    ("strategy.name", lambda s: replace(s, strategy=Choice("mode"))),
    ("strategy.config.rate", lambda s: replace(s, strategy=Choice("fedavg", {"rate": 1.0}))),
    ("seed", lambda s: replace(s, seed=-1)),
    ("rounds", lambda s: replace(s, rounds=257)),
    ("training.momentum", lambda s: replace(s, training=replace(s.training, momentum=1.0))),
    ("min_hospitals", lambda s: replace(s, min_hospitals=0)),
    ("min_hospitals", lambda s: replace(s, min_hospitals=4)),
    ("min_hospitals", lambda s: replace(s, max_hospitals=257)),
    ("threshold", lambda s: replace(s, threshold=2)),
    ("phases.unmask_s", lambda s: replace(s, phases=replace(s.phases, unmask_s=5))),
    ("phases.freeze_s", lambda s: replace(s, phases=replace(s.phases, freeze_s=0))),
    ("min_hospitals", lambda s: masked(s, min_hospitals=2, threshold=2, max_hospitals=3)),
    ("threshold", lambda s: masked(s, threshold=2)),
    ("threshold", lambda s: masked(s, threshold=4)),
    ("phases.unmask_s", lambda s: masked(s, phases=s.phases)),
    ("grid.grid_bits", lambda s: replace(s, grid=replace(s.grid, grid_bits=41))),
    ("grid.clip_norm", lambda s: replace(s, grid=replace(s.grid, clip_norm=0.0))),
    ("grid.grid_bits", lambda s: replace(s, grid=replace(s.grid, clip_norm=0.1))),
    ("terms.end_by_s", lambda s: terms(s, end_by_s=10)),
    ("terms.settle_s", lambda s: terms(s, settle_s=s.terms.end_by_s)),
    ("terms.refund_s", lambda s: terms(s, refund_s=s.terms.claim_s)),
    ("terms.answer_s", lambda s: terms(s, answer_s=s.terms.challenge_s - s.terms.settle_s)),
    ("terms.max_demands", lambda s: terms(s, max_demands=0)),
    ("reward.hospitals_wei", lambda s: replace(s, reward=replace(s.reward, budget_wei=Wei(1)))),
    ("reward.rule", lambda s: replace(s, reward=replace(s.reward, rule="equal"))),
    ("reward.rule", lambda s: masked(s, reward=replace(s.reward, rule="leave-one-out"))),
    (
        "auditors",
        lambda s: replace(
            s, reward=replace(s.reward, rule="leave-one-out"), auditors=(), auditor_quorum=0
        ),
    ),
    ("auditors", lambda s: replace(s, auditors=s.auditors * 2)),
    ("auditor_quorum", lambda s: replace(s, auditor_quorum=2)),
    ("auditor_quorum", lambda s: replace(s, auditor_quorum=0)),
]


@pytest.mark.parametrize(("key", "change"), BROKEN)
def test_a_broken_rule_names_its_key(spec: StudySpec, key: str, change: Any) -> None:
    check_spec(spec)
    with pytest.raises(SpecError) as caught:
        check_spec(change(spec))
    assert caught.value.key == key
    with pytest.raises(SpecError):
        read_bytes(change(spec).to_bytes())


def grid(spec: StudySpec, clip_norm: float, grid_bits: int, max_weight: int) -> StudySpec:
    return replace(
        spec,
        grid=replace(spec.grid, clip_norm=clip_norm, grid_bits=grid_bits, max_weight=max_weight),
    )


def test_open_mode_sums_in_64_bits_and_refuses_a_sum_that_could_leave_them(spec: StudySpec) -> None:
    two = replace(spec, max_hospitals=2)
    fits = grid(two, 1.0, 30, 2**31 - 1)  # 2 · (2³¹ − 1) · 2³⁰ < 2⁶³
    check_spec(fits)
    assert ring_bits(fits) == 64
    with pytest.raises(SpecError, match=r"below 2\^63"):
        check_spec(grid(two, 2.0, 30, 2**31))  # exactly 2⁶³


def test_masked_mode_takes_the_smaller_ring_that_holds_the_sum(spec: StudySpec) -> None:
    base = masked(spec)
    assert ring_bits(grid(base, 1.0, 19, 1023)) == 32  # 4 · 1023 · 2¹⁹ < 2³¹
    assert ring_bits(grid(base, 1.0, 19, 1024)) == 64  # exactly 2³¹
    with pytest.raises(SpecError):
        ring_bits(grid(base, 1.0, 40, 2**21))
    check_spec(base)


def test_production_is_warned_about_short_periods_and_no_auditor(spec: StudySpec) -> None:
    words = production_warnings(replace(spec, auditors=(), auditor_quorum=0))
    assert any("freeze_s" in word for word in words)
    assert any("nobody but the center" in word for word in words)
    day = 86400
    calm = replace(
        terms(
            spec,
            end_by_s=90 * day,
            settle_s=97 * day,
            challenge_s=104 * day,
            claim_s=111 * day,
            refund_s=118 * day,
            answer_s=day,
        ),
        phases=replace(spec.phases, freeze_s=day, submit_s=day, finalize_s=day),
    )
    check_spec(calm)
    assert production_warnings(calm) == []


def test_an_address_is_lower_case_whatever_was_written(spec: StudySpec) -> None:
    tree = json.loads(spec.to_json())
    tree["auditors"] = [{"address": "0x" + "A1" * 20}]
    assert read_json(json.dumps(tree)).auditors == (Auditor(Address("0x" + "a1" * 20)),)
