"""The wrappers mirror the ABI: generated from it, so that none is forgotten."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from typing import Any

import pytest
from eth_abi.abi import encode

from chain import abi, artifacts
from chain.agreements import Agreements, CounterOffer, Reward, Tier
from chain.attestations import Attestations, Level, Verdict
from chain.challenges import Challenges, Demand, Ground, Leaf
from chain.consent_types import (
    Consent,
    GrantMessage,
    Payment,
    Reason,
    RevokeMessage,
    Signed,
    Skip,
    Withdrawal,
)
from chain.consents import Consents
from chain.contract import Contract
from chain.escrow import Account, Claimant, Escrow
from chain.participants import Keys, Participants, Role
from chain.round_types import Cohort, Freeze, Round
from chain.rounds import Rounds
from chain.studies import RewardRule, Studies, Terms
from chain.token import Token

WRAPPERS: list[type[Contract]] = [
    Participants,
    Studies,
    Agreements,
    Consents,
    Rounds,
    Challenges,
    Escrow,
    Attestations,
]
STRUCTS = {
    kind.__name__: kind
    for kind in (
        *(Account, Claimant, Cohort, Consent, CounterOffer, Demand, Freeze, GrantMessage, Keys),
        *(Leaf, Payment, RevokeMessage, Round, Signed, Terms, Tier, Withdrawal),
    )
}
ENUMS = {
    kind.__name__: kind for kind in (Ground, Level, Reason, Reward, RewardRule, Role, Skip, Verdict)
}
# Of OpenZeppelin's bases; AccessManager speaks for the first three, the domain is a constant.
INHERITED = {"authority", "setAuthority", "isConsumingScheduledOp", "eip712Domain"}
INHERITED_EVENTS = {"AuthorityUpdated", "EIP712DomainChanged"}
# Python's own word, or a name that would hide another.
RENAMED = {"from": {"from_", "granted", "from_block", "sender", "payer"}}

FUNCTIONS = [
    (wrapper, name)
    for wrapper in WRAPPERS
    for name in abi.load(wrapper.name).functions
    if name not in INHERITED
]
EVENTS = [
    (wrapper, name)
    for wrapper in WRAPPERS
    for name in abi.load(wrapper.name).events
    if name not in INHERITED_EVENTS
]


def entry_of(wrapper: type[Contract], kind: str, name: str) -> Any:
    found = [
        e for e in artifacts.load(wrapper.name).abi if (e["type"], e.get("name")) == (kind, name)
    ]
    assert len(found) == 1, f"{wrapper.name}.{name} is overloaded"
    return found[0]


def structs(parameters: Any) -> list[Any]:
    """Every struct among parameters, those inside others too."""
    found = []
    for parameter in parameters:
        if parameter["type"].startswith("tuple"):
            found += [parameter, *structs(parameter["components"])]
    return found


def ids(pairs: list[tuple[type[Contract], str]]) -> list[str]:
    return [f"{wrapper.name}.{name}" for wrapper, name in pairs]


@pytest.mark.parametrize(("wrapper", "name"), FUNCTIONS, ids=ids(FUNCTIONS))
def test_every_function_has_a_method_that_takes_its_arguments(
    wrapper: type[Contract], name: str
) -> None:
    entry = entry_of(wrapper, "function", name)
    method = getattr(wrapper, abi.snake(name), None)
    assert method is not None, f"{wrapper.name}.{name} has no wrapper"
    signature = inspect.signature(method)
    taken = [p for p in signature.parameters if p not in ("self", "block_identifier")]
    assert len(taken) == len(entry["inputs"])
    reads = entry["stateMutability"] in ("view", "pure")
    assert ("block_identifier" in signature.parameters) == reads
    if reads:
        assert signature.parameters["block_identifier"].default is inspect.Parameter.empty
    else:
        assert signature.return_annotation == "Call"


@pytest.mark.parametrize(("wrapper", "name"), EVENTS, ids=ids(EVENTS))
def test_every_event_has_a_dataclass_with_its_parameters(
    wrapper: type[Contract], name: str
) -> None:
    entry = entry_of(wrapper, "event", name)
    assert name in wrapper.events, f"{wrapper.name}.{name} has no dataclass"
    names = [field.name for field in dataclasses.fields(wrapper.events[name])]
    assert names[-3:] == ["block", "log_index", "transaction"]
    assert_mirrors(names[:-3], entry["inputs"])


def test_no_dataclass_of_an_event_is_left_over() -> None:
    for wrapper in WRAPPERS:
        assert set(wrapper.events) <= set(abi.load(wrapper.name).events)


@pytest.mark.parametrize("wrapper", WRAPPERS, ids=[w.name for w in WRAPPERS])
def test_every_struct_has_a_dataclass_with_its_fields_in_order(wrapper: type[Contract]) -> None:
    for entry in artifacts.load(wrapper.name).abi:
        for struct in structs([*entry.get("inputs", ()), *entry.get("outputs", ())]):
            name = struct["internalType"].split(".")[-1].removesuffix("[]").split(" ")[-1]
            fields = [field.name for field in dataclasses.fields(STRUCTS[name])]
            assert_mirrors(fields, struct["components"])


@pytest.mark.parametrize("wrapper", WRAPPERS, ids=[w.name for w in WRAPPERS])
def test_every_error_is_decoded_by_name_with_its_arguments(wrapper: type[Contract]) -> None:
    samples = {"address": "0x" + "ab" * 20, "string": "rule", "bytes32": b"\7" * 32}
    for name, entry in abi.load(wrapper.name).errors.items():
        kinds = [i["type"] for i in entry.inputs]
        kinds = ["uint8" if kind == "enum" else kind for kind in kinds]
        values = [samples.get(kind, 9) for kind in kinds]
        decoded, arguments = abi.decode_error(entry.hash[:4] + encode(kinds, values))
        assert decoded == name
        assert len(arguments) == len(values)


@pytest.mark.parametrize("wrapper", WRAPPERS, ids=[w.name for w in WRAPPERS])
def test_every_enumeration_has_the_members_of_solidity(wrapper: type[Contract]) -> None:
    """The compiler's ABI names enumerations; their members stand in the interface."""
    path = artifacts.CONTRACTS / "interfaces" / f"I{wrapper.name}.sol"
    text = path.read_text("utf-8")
    for part in text.split("enum ")[1:]:
        name = part.split("{")[0].strip()
        members = [m.strip() for m in part.split("{")[1].split("}")[0].split(",")]
        mirrored = ENUMS[name]
        assert [abi.snake(m).upper() for m in members] == [m.name for m in mirrored]
        assert [m.value for m in mirrored] == list(range(len(members)))


def test_the_token_has_what_actors_need() -> None:
    functions = abi.load(Token.name).functions
    for name in ("approve", "transfer", "mint", "balanceOf"):
        assert name in functions
        assert hasattr(Token, abi.snake(name))


def test_an_error_that_no_abi_names_keeps_its_bytes() -> None:
    assert abi.decode_error(b"\1\2\3\4\5") == ("Unknown", {"data": b"\1\2\3\4\5"})
    assert abi.decode_error(b"") == ("Reverted", {})
    short = abi.load("Studies").errors["UnknownStudy"].hash[:4]
    assert abi.decode_error(short + b"\1") == ("Unknown", {"data": short + b"\1"})


def test_hints_of_every_dataclass_resolve() -> None:
    for kind in (*STRUCTS.values(), *(e for w in WRAPPERS for e in w.events.values())):
        assert typing.get_type_hints(kind)


def assert_mirrors(names: list[str], parameters: Any) -> None:
    expected = [abi.snake(parameter["name"]) for parameter in parameters]
    assert len(names) == len(expected)
    for name, wanted in zip(names, expected, strict=True):
        assert name == wanted or name in RENAMED.get(wanted, ()), (names, expected)
