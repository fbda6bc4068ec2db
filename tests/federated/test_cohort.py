from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federated.canonical import Digest, encode
from federated.codec import Address
from federated.cohort import (
    ConsentId,
    Entry,
    build_leaves,
    decode_leaves,
    encode_leaves,
    new_salt,
    salted_digest,
)
from federated.context import update_context
from federated.errors import CanonicalError, CohortError


def entry(number: int, salt: int = 9) -> Entry:
    return Entry(
        ConsentId(bytes([number]) * 32), Digest(bytes([number + 100]) * 32), bytes([salt]) * 32
    )


@given(st.permutations([entry(i) for i in range(6)]))
def test_leaves_are_in_the_order_of_consent_ids_whatever_came_first(entries: list[Entry]) -> None:
    leaves = build_leaves(entries)
    assert [leaf.index for leaf in leaves] == list(range(6))
    assert [leaf.consent[0] for leaf in leaves] == list(range(6))
    assert encode_leaves(leaves) == encode_leaves(build_leaves([entry(i) for i in range(6)]))


def test_a_leaf_holds_the_salted_digest_and_no_salt() -> None:
    salt = new_salt()
    (leaf,) = build_leaves([Entry(ConsentId(bytes(32)), Digest(b"r" * 32), salt)])
    preimage = encode(["consilium/record/1", salt, b"r" * 32])
    assert leaf.record == hashlib.sha256(preimage).digest()
    data = encode_leaves([leaf])
    assert salt not in data
    assert b"r" * 32 not in data


def test_two_patients_with_equal_records_have_different_leaves() -> None:
    assert salted_digest(new_salt(), b"r" * 32) != salted_digest(new_salt(), b"r" * 32)
    with pytest.raises(CohortError):
        salted_digest(b"short", b"r" * 32)


def test_a_list_survives_bytes() -> None:
    leaves = build_leaves([entry(3), entry(1)])
    assert decode_leaves(encode_leaves(leaves)) == leaves


def test_an_empty_cohort_is_refused() -> None:
    with pytest.raises(CohortError, match="empty"):
        build_leaves([])


def test_a_consent_that_stands_twice_is_refused() -> None:
    with pytest.raises(CohortError, match="strictly increase"):
        build_leaves([entry(1), entry(2), replace(entry(1), salt=bytes(32))])


def rows(*pairs: tuple[Any, Any]) -> dict[str, Any]:
    return {"format": "consilium/leaves/1", "leaves": [list(pair) for pair in pairs]}


A, B = b"a" * 32, b"b" * 32


@pytest.mark.parametrize(
    "tree",
    [
        rows(),
        rows((B, A), (A, A)),
        rows((A, A), (A, B)),
        rows((A, A[:31])),
        rows((A, "text")),
        rows((A, A, A)),
        {**rows((A, A)), "format": "consilium/leaves/2"},
        {**rows((A, A)), "more": 1},
        {"format": "consilium/leaves/1", "leaves": {"a": 1}},
        [1],
    ],
)
def test_a_published_list_that_breaks_a_rule_is_refused(tree: Any) -> None:
    decode_leaves(encode(rows((A, A), (B, A))))
    with pytest.raises(CohortError):
        decode_leaves(encode(tree))


def test_bytes_that_are_no_list_are_refused() -> None:
    with pytest.raises(CohortError, match="list of leaves"):
        decode_leaves(b"\x00\x00")


BINDING: dict[str, Any] = {
    "chain_id": 31337,
    "rounds": Address("0x" + "12" * 20),
    "study": 1,
    "round_number": 2,
    "spec": A,
    "state": B,
    "root": b"c" * 32,
}


def test_a_context_is_the_tagged_hash_of_its_fields_in_order() -> None:
    parts = [31337, bytes.fromhex("12" * 20), 1, 2, A, B, b"c" * 32]
    expected = hashlib.sha256(encode(["consilium/context/1", *parts])).digest()
    assert update_context(**BINDING) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": 1},
        {"rounds": Address("0x" + "13" * 20)},
        {"study": 2},
        {"round_number": 1},
        {"spec": B},
        {"state": A},
        {"root": A},
    ],
)
def test_every_field_of_a_context_counts(change: dict[str, Any]) -> None:
    assert update_context(**{**BINDING, **change}) != update_context(**BINDING)


@pytest.mark.parametrize("change", [{"root": b"short"}, {"rounds": Address("0x12")}])
def test_a_context_of_wrong_sizes_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CanonicalError):
        update_context(**{**BINDING, **change})
