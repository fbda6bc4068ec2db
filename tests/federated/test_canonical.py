from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federated.canonical import decode, digest, encode, tagged_hash, wei_bytes
from federated.errors import CanonicalError

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.binary(max_size=8)
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=6), trees, max_size=8), st.randoms(use_true_random=False))
def test_the_order_in_which_a_map_was_built_does_not_show(
    tree: dict[str, object], order: random.Random
) -> None:
    items = list(tree.items())
    order.shuffle(items)
    assert encode(dict(items)) == encode(tree)


@given(trees)
def test_what_was_encoded_comes_back_and_has_one_encoding(tree: object) -> None:
    data = encode(tree)
    assert decode(data) == tree
    assert encode(decode(data)) == data


def test_keys_are_ordered_by_length_and_then_bytes() -> None:
    assert encode({"bb": 1, "a": 2, "c": 3}).hex() == "a3616102616303626262" + "01"


def test_tuples_count_as_lists() -> None:
    assert encode((1, (2,))) == encode([1, [2]])


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), 2**64, -(2**64) - 1, {1: 2}, object(), {1}]
)
def test_what_has_no_canonical_bytes_is_refused(value: object) -> None:
    with pytest.raises(CanonicalError):
        encode({"x": value})


@pytest.mark.parametrize(
    "data",
    [
        "",
        "a2616201616102",  # keys out of order
        "a2616101616102",  # a key twice
        "1801",  # a longer form than needed
        "f97c00",  # a half-precision infinity
        "fb7ff8000000000000",  # NaN
        "9f01ff",  # indefinite length
        "c001",  # a tag that is no link
        "61ff",  # not UTF-8
        "0101",  # two objects
        "9b00ffffffffffffff",  # a list longer than any input
        "5bffffffffffffffff00",  # bytes longer than any memory
        "81" * 5000 + "01",  # nested too deep
    ],
)
def test_bytes_that_are_not_canonical_are_refused(data: str) -> None:
    with pytest.raises(CanonicalError):
        decode(bytes.fromhex(data))


@given(st.binary(max_size=40))
def test_any_bytes_are_refused_or_are_the_one_encoding(data: bytes) -> None:
    try:
        tree = decode(data)
    except CanonicalError:
        return
    assert encode(tree) == data


def test_an_error_about_bytes_does_not_show_them() -> None:
    with pytest.raises(CanonicalError) as caught:
        decode(encode("secret value") + b"!")
    assert "secret" not in str(caught.value)


def test_a_tagged_hash_is_sha256_of_the_list_of_tag_and_parts() -> None:
    expected = hashlib.sha256(encode(["tag/1", 7, b"x"])).digest()
    assert tagged_hash("tag/1", 7, b"x") == expected == digest(encode(["tag/1", 7, b"x"]))


def test_tags_and_the_borders_between_parts_separate_hashes() -> None:
    hashes = [
        tagged_hash("a", b"bc"),
        tagged_hash("b", b"bc"),
        tagged_hash("a", b"b", b"c"),
        tagged_hash("a", [b"b", b"c"]),
        tagged_hash("a", "bc"),
    ]
    assert len(set(hashes)) == len(hashes)
    with pytest.raises(CanonicalError):
        tagged_hash("", 1)


def test_amounts_are_32_bytes_big_endian() -> None:
    assert wei_bytes(258) == bytes(30) + b"\x01\x02"
    assert wei_bytes(2**256 - 1) == b"\xff" * 32
    for amount in (-1, 2**256):
        with pytest.raises(CanonicalError):
            wei_bytes(amount)
