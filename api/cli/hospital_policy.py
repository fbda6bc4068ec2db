"""`consilium hospital approve` and `hospital policy`: what a study may ask of the hospital."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.options import AsJson, StudyNumber
from api.cli.place import check_chain, open_home, place, reading
from api.cli.show import group, json_object, pairs, say, table, write_file
from api.cli.values import spec_of, study_of, tokens
from api.errors import ApiError
from api.home import Home, HomeRole
from chain.types import StudyId
from federated import hospital as steps
from federated.codec import Form, to_tree
from federated.contribution import cost_of
from federated.hospital.enrol import examine
from federated.hospital.policy import Asked, Finding, Outcome, Policy, defaults_toml, judge
from federated.hospital.policy.standing import (
    Standing,
    policies_at,
    remembered,
    strictest,
    studies_going_on,
)
from federated.journal import Journal
from federated.party import Party
from federated.purposes import describe
from federated.spec import StudySpec
from federated.study import Study

policy = group(
    """Show the hospital's policy, hold a study against it, write one to edit.

    Example: consilium --home homes/north hospital policy check 1
    """
)

PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="The policy, TOML; else the home's policy.toml.")
]

_PAID = {
    "count": "by the number of patients that train",
    "leave-one-out": "by contribution: the hospitals of a round judge the models without each "
    "other, and so can tell what each one's update was",
    **dict.fromkeys(
        ("tmc-shapley", "gtg-shapley"),
        "by contribution: the hospitals of a round judge models of some of their updates, and so "
        "can tell what each one's update was",
    ),
}


def _paid(spec: StudySpec) -> str:
    """The reward rule in words, and what it costs."""
    words, cost = _PAID.get(spec.reward.rule, spec.reward.rule), cost_of(spec)
    return words if cost is None else f"{words}; {cost}"


def approve(study: StudyNumber, policy: PolicyFile = None) -> None:
    """Check a study under the hospital's policy, and record its digest as approved.

    Shows every rule's answer, as `hospital policy check` does. The home's policy.toml holds too
    where --policy names another file.

    Example: consilium --home homes/north hospital approve 1 --policy policy.toml
    """
    home = open_home(HomeRole.HOSPITAL)
    node = home.hospital(place().rpc)
    check_chain(node.party)
    standing = _standing(home, policy)
    found = study_of(node.party, study)
    _table(_examined(home, node.party, found, standing))
    steps.approve(node, StudyId(study), standing[0].policy)
    spec, terms = found.spec, found.terms
    decimals = node.party.chain.token(terms.token).decimals(block_identifier=node.party.head())
    pairs(
        [
            ("approved", f"study {study}: {spec.title}"),
            ("question", spec.question),
            ("purposes", ", ".join(describe(terms.purposes))),
            ("spec", found.spec_digest.hex()),
            ("hospitals are paid", _paid(spec)),
            ("token", terms.token),
            ("bond", f"{tokens(terms.bond, decimals)} tokens"),
        ]
    )


@policy.command()
def show(
    study: Annotated[
        int | None,
        typer.Option(min=1, help="Show also the policy under which this study was approved."),
    ] = None,
    policy: PolicyFile = None,
    as_json: AsJson = False,
) -> None:
    """Show every rule that holds now, and which are defaults.

    Example: consilium --home homes/north hospital policy show
    """
    home = _home()
    held = (*_approved(home, study), *_standing(home, policy))
    if as_json:
        json_object({item.where: _tree(item.policy) for item in held})
        return
    for item in held:
        rows = [(name, _plain(value), how) for name, value, how in _rules(item.policy)]
        table(f"policy {item.where}", ("rule", "value", ""), rows)


@policy.command()
def check(
    study: Annotated[
        str, typer.Argument(metavar="STUDY|SPECFILE", help="A study's number, or a spec's file.")
    ],
    policy: PolicyFile = None,
    as_json: AsJson = False,
) -> None:
    """Hold a study against the policy and change nothing; exit status 1 when a rule refuses.

    A spec's file, .json or .toml, does not tell who asks nor in which token.

    Example: consilium --home homes/north hospital policy check spec.json
    """
    home = _home()
    standing = _standing(home, policy)
    if study.isascii() and study.isdecimal():
        with reading() as party:
            asked = study_of(party, int(study))
            spec, found = asked.spec, _examined(home, party, asked, standing)
    else:
        spec = spec_of(Path(study))
        only = Asked(spec)
        found = strictest(standing, lambda rules: judge(rules, only))
    refused = [item.rule for item in found if item.outcome is Outcome.REFUSES]
    if as_json:
        json_object(_verdict(spec, found, refused))
    else:
        _table(found)
        say(f"spec {spec.digest().hex()}: " + _summary(refused))
    if refused:
        raise typer.Exit(1)


@policy.command()
def init(
    out: Annotated[Path | None, typer.Option(help="Write here; else the home's file.")] = None,
) -> None:
    """Write a policy.toml of the defaults, each rule with what it refuses and why, to be edited.

    Example: consilium --home homes/north hospital policy init
    """
    path = out or _home().path / "policy.toml"
    if path.exists() or path.is_symlink():
        raise ApiError(f"{path} is there already; edit it, or name another with --out")
    write_file(path, defaults_toml())
    say(f"{path}: edit it, then `consilium hospital policy show`")


def _home() -> Home:
    """A dry run opens no key."""
    return Home.open(place().home, passphrase="").require(HomeRole.HOSPITAL)


def _standing(home: Home, given: Path | None) -> tuple[Standing, ...]:
    """The policy given, and the home's; the defaults where there is neither."""
    held = policies_at(home.path / "policy.toml")
    if given is not None:
        return (Standing(f"in {given}", steps.read_policy(given)), *held)
    return held or (Standing("of the defaults", Policy()),)


def _approved(home: Home, study: int | None) -> tuple[Standing, ...]:
    if study is None:
        return ()
    found = remembered(Journal(home.path / "journal"), StudyId(study))
    if found is None:
        raise ApiError(f"study {study} is not approved here: run `consilium hospital approve`")
    return (Standing(f"as approved for study {study}", found[1]),)


def _examined(
    home: Home, party: Party, study: Study, standing: Sequence[Standing]
) -> tuple[Finding, ...]:
    journal, block = Journal(home.path / "journal"), party.head()
    others = studies_going_on(party.chain, journal, home.address(), study.number, block)
    return examine(party, study, standing, others)


def _table(found: Iterable[Finding]) -> None:
    rows = [(item.rule, item.outcome.value, item.why) for item in found]
    table("the policy's rules", ("rule", "", "why"), rows)


def _summary(refused: Sequence[str]) -> str:
    if not refused:
        return "no rule refuses"
    return f"refused by {', '.join(refused)}; change these rules to take part, or stay out"


def _verdict(spec: StudySpec, found: Iterable[Finding], refused: list[str]) -> dict[str, Any]:
    rules = [{"rule": x.rule, "outcome": x.outcome.value, "why": x.why} for x in found]
    return {
        "title": spec.title,
        "spec": spec.digest().hex(),
        "refused": refused,
        "rules": rules,
    }


def _rules(policy: Policy) -> list[tuple[str, object, str]]:
    return [
        (item.name, value, "default" if value == item.default else "set")
        for item in fields(policy)
        for value in [getattr(policy, item.name)]
    ]


def _tree(policy: Policy) -> dict[str, Any]:
    values: Any = to_tree(policy, Policy, Form.TEXT)
    return {
        name: {"value": values.get(name), "default": how == "default"}
        for name, _, how in _rules(policy)
    }


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "any"
    return "no rule" if value is None else str(value)
