"""An index of tokens: what its key finds, and what nobody learns without it."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import Codec, EmbeddedStore, Sender, SigningKey, dagcbor, sign_record
from storage.errors import BadKeyword, BadSignature, MalformedRecord
from storage.keywords import (
    MOST_ENTRIES,
    MOST_KEYWORDS,
    TOKEN_SIZE,
    Index,
    IndexKey,
    normalised,
    read_index,
    tokens_of,
    write_index,
)
from storage.tags import INDEX

AUTHOR = Sender(b"\xaa" * 20, SigningKey(b"\x01" * 32))
CONTEXT = bytes(range(32))
KEY = IndexKey.derived(b"s" * 32, CONTEXT)
ONE, TWO = b"1" * 32, b"2" * 32


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore.create(tmp_path / "store", durable=False)


def written(store: EmbeddedStore, entries: dict[bytes, list[str]], key: IndexKey = KEY) -> Index:
    cid = write_index(
        store, entries, key=key, context=CONTEXT, number=3, catalogue=b"c" * 32, sender=AUTHOR
    )
    return read_index(store, cid)


def test_an_index_is_found_by_all_keywords_whatever_their_case_and_spaces(
    store: EmbeddedStore,
) -> None:
    index = written(store, {ONE: ["Lung", "round 1"], TWO: ["lung"]})
    assert index.matching(KEY, ["LUNG"]) == [ONE, TWO]
    assert index.matching(KEY, ["lung", " Round   1 "]) == [ONE]
    assert index.matching(KEY, ["heart"]) == []
    assert (index.signer, index.number, index.context) == (AUTHOR.signer, 3, CONTEXT)
    assert index.key_id == KEY.key_id
    assert index.cid in store.pins()


def test_a_token_is_what_the_document_says() -> None:
    message = b"consilium/keyword/1" + ONE + b"lung"
    prk = hmac.digest(CONTEXT, b"s" * 32, "sha256")  # RFC 5869, one block
    key = hmac.digest(prk, b"consilium/index-key/1\x01", "sha256")
    assert KEY.token(ONE, "Lung") == hmac.digest(key, message, hashlib.sha256)


@given(st.lists(st.text("abcdefg", min_size=1, max_size=6), max_size=MOST_KEYWORDS))
def test_how_many_keywords_an_artefact_has_cannot_be_seen(keywords: list[str]) -> None:
    tokens = tokens_of(KEY, ONE, keywords)
    assert len(tokens) == MOST_KEYWORDS * TOKEN_SIZE
    parts = [tokens[at : at + TOKEN_SIZE] for at in range(0, len(tokens), TOKEN_SIZE)]
    assert parts == sorted(set(parts))
    assert {KEY.token(ONE, word) for word in keywords} <= set(parts)


def test_equal_keywords_look_unlike_without_the_key(store: EmbeddedStore) -> None:
    words = [f"word {n}" for n in range(MOST_KEYWORDS)]
    index = written(store, {ONE: words, TWO: words})
    assert not index.entries[ONE] & index.entries[TWO]
    assert index.matching(KEY, words) == [ONE, TWO]


@pytest.mark.parametrize(
    "other",
    [IndexKey.derived(b"t" * 32, CONTEXT), IndexKey.derived(b"s" * 32, bytes(32))],
    ids=["another secret", "another study"],
)
def test_another_key_finds_nothing(store: EmbeddedStore, other: IndexKey) -> None:
    index = written(store, {ONE: ["lung"]})
    assert index.matching(other, ["lung"]) == []
    assert other.key_id != KEY.key_id
    block = store.get_block(index.cid)
    assert b"lung" not in block
    assert KEY.key not in block


def test_tokens_moved_to_another_artefact_find_nothing(store: EmbeddedStore) -> None:
    tokens = tokens_of(KEY, ONE, ["lung"])
    body = {"catalogue": bytes(32), "context": CONTEXT, "key": KEY.key_id, "number": 9}
    body["entries"] = [{"artefact": TWO, "tokens": tokens}]
    cid = store.put_block(Codec.DAG_CBOR, sign_record(INDEX, body, AUTHOR))
    assert read_index(store, cid).matching(KEY, ["lung"]) == []


@pytest.mark.parametrize("keyword", ["", "  ", "a" * 65, "a\x00b", "\n"])
def test_what_is_no_keyword_is_refused(keyword: str) -> None:
    with pytest.raises(BadKeyword):
        normalised(keyword)


def test_too_much_is_refused(store: EmbeddedStore) -> None:
    with pytest.raises(BadKeyword, match="at most 32 keywords"):
        tokens_of(KEY, ONE, map(str, range(MOST_KEYWORDS + 1)))
    many: dict[bytes, list[str]] = {n.to_bytes(32, "big"): [] for n in range(MOST_ENTRIES)}
    assert len(written(store, many).entries) == MOST_ENTRIES  # fits into a block
    with pytest.raises(BadKeyword, match="at most 900 artefacts"):
        written(store, many | {ONE: []})


@pytest.mark.parametrize(
    "change",
    [
        {"number": "1"},
        {"entries": [{"artefact": ONE, "tokens": bytes(31)}]},
        {"entries": [{"artefact": ONE}]},
        {"entries": [{"artefact": n, "tokens": bytes(1024)} for n in (TWO, ONE)]},
        {"entries": [{"artefact": n, "tokens": bytes(1024)} for n in (ONE, ONE)]},
        {"key": b"short"},
        {"more": 1},
    ],
    ids=["a number", "few tokens", "no tokens", "order", "twice", "a key id", "a field"],
)
def test_an_ill_formed_index_is_refused(store: EmbeddedStore, change: dict[str, object]) -> None:
    body = {"catalogue": bytes(32), "context": CONTEXT, "entries": []}
    body |= {"key": KEY.key_id, "number": 1} | change
    cid = store.put_block(Codec.DAG_CBOR, sign_record(INDEX, body, AUTHOR))
    with pytest.raises(MalformedRecord):
        read_index(store, cid)


def test_a_forged_list_of_tokens_has_a_bad_signature(store: EmbeddedStore) -> None:
    index = written(store, {ONE: ["lung"]})
    record = dagcbor.decode(store.get_block(index.cid))
    assert isinstance(record, dict)
    record["body"]["entries"][0]["tokens"] = tokens_of(KEY, ONE, ["heart"])
    forged = store.put_block(Codec.DAG_CBOR, dagcbor.encode(record))
    with pytest.raises(BadSignature):
        read_index(store, forged)


def test_no_key_shows_itself() -> None:
    assert repr(KEY.key)[2:12] not in repr(KEY)
