import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dag_cbor
import pytest
from dag_cbor.encoding.err import CBORError
from hypothesis import given
from hypothesis import strategies as st
from multiformats import CID as LibraryCid

from storage.cid import Cid, Codec
from storage.dagcbor import MAX_DEPTH, decode, encode, links
from storage.errors import MalformedBlock

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "artefact" / "dag-cbor.json").read_text()
)

cids = st.builds(Cid, st.sampled_from(Codec), st.binary(min_size=32, max_size=32))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
    | cids
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


def for_library(value: Any) -> Any:
    if isinstance(value, Cid):
        return LibraryCid.decode(bytes(value))
    if isinstance(value, Mapping):
        return {key: for_library(item) for key, item in value.items()}
    if isinstance(value, list):
        return [for_library(item) for item in value]
    return value


@given(values)
def test_bytes_are_what_the_dag_cbor_library_writes(value: Any) -> None:
    assert encode(value) == dag_cbor.encode(for_library(value))


@given(values)
def test_a_value_reads_back(value: Any) -> None:
    block = encode(value)
    assert decode(block) == value
    assert encode(decode(block)) == block


@given(st.dictionaries(st.text(max_size=4), st.integers(0, 9)), st.randoms())
def test_the_order_in_which_a_map_was_made_changes_nothing(
    value: dict[str, int], rng: random.Random
) -> None:
    items = list(value.items())
    rng.shuffle(items)
    assert encode(dict(items)) == encode(value)


@given(st.binary(max_size=60) | values.map(encode))
def test_bytes_are_refused_or_the_one_spelling_of_their_value(block: bytes) -> None:
    try:
        value = decode(block)
    except MalformedBlock:
        return
    assert encode(value) == block


@given(values, st.data())
def test_a_block_with_a_byte_changed_is_judged_as_the_library_judges_it(
    value: Any, data: st.DataObject
) -> None:
    block = bytearray(encode(value))
    block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    try:
        ours = decode(bytes(block))
    except MalformedBlock:
        return  # stricter than the library about links alone
    assert dag_cbor.decode(bytes(block)) == for_library(ours)


@pytest.mark.parametrize("row", VECTORS["canonical"], ids=lambda row: row["means"])
def test_canonical_blocks_of_the_vectors_are_read(row: dict[str, str]) -> None:
    block = bytes.fromhex(row["hex"])
    assert encode(decode(block)) == block


@pytest.mark.parametrize("row", VECTORS["refused"], ids=lambda row: row["why"])
def test_other_spellings_are_refused(row: dict[str, str]) -> None:
    block = bytes.fromhex(row["hex"])
    with pytest.raises(MalformedBlock, match=f"{len(block)} bytes are not canonical dag-cbor"):
        decode(block)


@pytest.mark.parametrize("lead", [b"\x81", b"\xa1\x61a", b"\xd8\x2a"])
def test_a_block_nested_to_exhaust_the_stack_is_refused(lead: bytes) -> None:
    with pytest.raises(MalformedBlock):
        decode(lead * 100_000 + b"\x00")


def test_a_list_that_promises_more_items_than_bytes_is_refused_before_the_work() -> None:
    with pytest.raises(MalformedBlock, match="cut short"):
        decode(b"\x9b" + b"\xff" * 8)


def nested_list(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_the_depth_that_can_be_written_can_be_read() -> None:
    deepest = nested_list(MAX_DEPTH)
    assert decode(encode(deepest)) == deepest
    with pytest.raises(MalformedBlock):
        encode(nested_list(MAX_DEPTH + 1))
    with pytest.raises(MalformedBlock):
        decode(b"\x81" * MAX_DEPTH + b"\x80")


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 2**64, -(2**64) - 1, {1: 2}, {"a": {1}}, "\ud800", object()],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_canonical_bytes_is_refused(value: Any) -> None:
    with pytest.raises(MalformedBlock):
        encode(value)
    with pytest.raises((CBORError, ValueError, TypeError)):
        dag_cbor.encode(value)


def test_a_refusal_does_not_show_the_value() -> None:
    with pytest.raises(MalformedBlock) as caught:
        encode({"name": {"Jane Roe"}})
    assert "Jane" not in str(caught.value)


def test_links_are_found_wherever_they_stand() -> None:
    first, second = Cid.of(Codec.RAW, b"1"), Cid.of(Codec.DAG_CBOR, b"2")
    assert links(decode(encode({"a": [1, first], "b": {"c": second}}))) == [first, second]
