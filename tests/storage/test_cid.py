import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiformats import CID as LibraryCid

from storage.cid import Cid, Codec, dag_cbor_cid, raw_cid
from storage.errors import MalformedCid

EMPTY = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"

cids = st.builds(Cid, st.sampled_from(Codec), st.binary(min_size=32, max_size=32))


@given(cids)
def test_text_and_bytes_lead_back_to_the_cid(cid: Cid) -> None:
    assert Cid.parse(str(cid)) == cid
    assert Cid.from_bytes(bytes(cid)) == cid


@given(cids)
def test_text_is_what_the_multiformats_library_writes(cid: Cid) -> None:
    name = {Codec.RAW: "raw", Codec.DAG_PB: "dag-pb", Codec.DAG_CBOR: "dag-cbor"}[cid.codec]
    assert str(cid) == str(LibraryCid("base32", 1, name, ("sha2-256", cid.digest)))


def test_the_empty_block_has_its_known_cid() -> None:
    assert str(Cid.of(Codec.RAW, b"")) == EMPTY


def test_a_digest_from_the_chain_gives_the_cid_of_a_record_or_of_a_raw_block() -> None:
    assert str(raw_cid(Cid.parse(EMPTY).digest)) == EMPTY
    assert dag_cbor_cid(b"\x01" * 32).codec is Codec.DAG_CBOR


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        EMPTY.upper(),
        EMPTY[:-1],
        EMPTY + "a",
        EMPTY[:-1] + "v",  # a spare bit of base32 is set
        "z" + EMPTY[1:],  # another multibase
        EMPTY + "======",
        "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n",  # CIDv0
        "bafybmid" + "a" * 60,
        str(LibraryCid("base32", 1, "raw", ("sha2-512", b"\0" * 64))),
        str(LibraryCid("base32", 1, "git-raw", ("sha2-256", b"\0" * 32))),
        "bø" * 20,
        "nonsense",  # base32, but for its first letter
    ],
)
def test_what_is_not_a_cid_of_this_store_is_refused(text: str) -> None:
    with pytest.raises(MalformedCid, match="CIDv1 with sha2-256") as caught:
        Cid.parse(text)
    assert str(caught.value).startswith(repr(text[:80]))


@given(st.binary(max_size=40))
def test_arbitrary_bytes_are_a_cid_or_malformed(data: bytes) -> None:
    with contextlib.suppress(MalformedCid):
        assert bytes(Cid.from_bytes(data)) == data


@pytest.mark.parametrize("size", [0, 20, 31, 33, 36])
def test_a_digest_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(MalformedCid, match=f"32 bytes, got {size}"):
        dag_cbor_cid(bytes(size))
