"""The quick encoder gives eth-abi's bytes, or eth-abi's error."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import encode as reference
from eth_abi.exceptions import EncodingError
from hypothesis import given
from hypothesis import strategies as st

from chain.words import _encoders, encode

ADDRESS = st.binary(min_size=20, max_size=20).map(lambda item: "0x" + item.hex())
WORD = st.binary(min_size=32, max_size=32)
GRANT = "(bytes32,uint64,uint64,bytes32,bytes32)"


def uint(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2**bits - 1)


@given(
    st.lists(st.tuples(WORD, uint(64), uint(64), WORD, WORD), max_size=4),
    st.lists(WORD, max_size=3),
    ADDRESS,
    uint(256),
    st.binary(max_size=100),
)
def test_it_encodes_as_eth_abi_does(
    grants: Any, ids: Any, address: str, number: int, admission: bytes
) -> None:
    types = ["uint256", f"{GRANT}[]", "bytes", "address", "bytes32[]", "(uint8,(address,uint64))"]
    values = [number, grants, admission, address, ids, (3, (address, 5))]
    assert _encoders(tuple(types)) is not None
    assert encode(types, values) == reference(types, values)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint64", 2**64),
        ("uint256", 2**256),
        ("uint64", -1),
        ("uint64", True),
        ("uint64", "1"),
        ("bytes32", b"\1" * 33),
        ("bytes32", "text"),
        ("bytes", "text"),
        ("bytes", 7),
        ("address", "0x" + "11" * 19),
        ("address", "0x" + "zz" * 20),
        ("bytes32[]", [b"\1" * 33]),
        ("(uint64,uint64)", (1,)),
        ("(uint64,uint64)", (1, 2, 3)),
    ],
)
def test_a_value_that_does_not_fit_is_refused_as_eth_abi_refuses_it(kind: str, value: Any) -> None:
    with pytest.raises(EncodingError) as theirs:
        reference([kind], [value])
    with pytest.raises(EncodingError) as ours:
        encode([kind], [value])
    assert (type(ours.value), str(ours.value)) == (type(theirs.value), str(theirs.value))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", "text"),
        ("(uint8,bytes)", (1, b"x")),
        ("bytes32[2]", [b"\1" * 32] * 2),
        ("uint8[][]", [[1], [2, 3]]),
        ("bool", True),
        ("(uint8,uint8)[2][]", [[(1, 2), (3, 4)]]),
    ],
)
def test_other_types_are_eth_abis(kind: str, value: Any) -> None:
    assert encode([kind, "uint8"], [value, 7]) == reference([kind, "uint8"], [value, 7])
