import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import (
    Codec,
    EmbeddedStore,
    Identity,
    Profile,
    RecipientKey,
    SigningKey,
    fetch_key,
    load_identity,
    load_signing_key,
    publish_key,
    save_key,
    tags,
    verify_signature,
)
from storage.errors import (
    BadSignature,
    CorruptBlock,
    KeyFailure,
    KeyFileExists,
    KeyFileExposed,
    KeyFileMissing,
    MalformedKey,
    MissingBlock,
    WrongKey,
    WrongPassphrase,
)

profiles = pytest.mark.parametrize("profile", list(Profile))


@profiles
def test_a_wrap_opens_for_its_recipient_and_its_info_alone(profile: Profile) -> None:
    identity = Identity.generate(profile)
    wrap = identity.recipient.wrap(b"k" * 32, b"info")
    assert len(wrap) == profile.wrap_size(32)
    assert identity.unwrap(wrap, b"info") == b"k" * 32
    with pytest.raises(WrongKey, match=identity.recipient.key_id.hex()):
        identity.unwrap(wrap, b"other")
    with pytest.raises(WrongKey):
        Identity.generate(profile).unwrap(wrap, b"info")


@profiles
@given(data=st.data())
def test_a_wrap_that_was_altered_does_not_open(profile: Profile, data: st.DataObject) -> None:
    identity = Identity(profile, b"i" * 32)
    wrap = bytearray(identity.recipient.wrap(b"k" * 32, b""))
    wrap[data.draw(st.integers(0, len(wrap) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(WrongKey):
        identity.unwrap(bytes(wrap), b"")
    with pytest.raises(WrongKey):
        identity.unwrap(bytes(wrap[: data.draw(st.integers(0, len(wrap) - 1))]), b"")


def test_two_wraps_of_one_secret_differ() -> None:
    recipient = Identity.generate().recipient
    assert recipient.wrap(b"k" * 32, b"") != recipient.wrap(b"k" * 32, b"")


@profiles
def test_a_published_key_is_found_by_its_digest(
    profile: Profile, new_store: Callable[[str], EmbeddedStore]
) -> None:
    store = new_store("a")
    recipient = Identity.generate(profile).recipient
    key_id = publish_key(store, recipient)
    assert key_id == hashlib.sha256(recipient.public).digest()
    assert fetch_key(store, key_id) == recipient
    with pytest.raises(MissingBlock):
        fetch_key(store, b"\0" * 32)
    (file,) = store.path.glob(f"blocks/*/{key_id.hex()}")
    file.write_bytes(bytes(32))
    with pytest.raises(CorruptBlock):
        fetch_key(store, key_id)


@pytest.mark.parametrize("public", [b"", bytes(31), b"\xff" * 1184, bytes(1217)])
def test_bytes_of_another_size_are_no_public_key(public: bytes) -> None:
    with pytest.raises(MalformedKey, match=f"{len(public)} bytes are no public key"):
        RecipientKey.from_bytes(public)


def test_ml_kem_coefficients_out_of_range_are_refused() -> None:
    with pytest.raises(MalformedKey, match="not a valid x-wing key"):
        RecipientKey.from_bytes(b"\xff" * 1216)


@profiles
def test_a_key_whose_shared_secret_everyone_knows_is_refused(profile: Profile) -> None:
    """X25519 with a point of small order; X-Wing stays as strong as ML-KEM, or is refused too."""
    public = Identity.generate(profile).recipient.public[:-32] + bytes(32)
    with pytest.raises(MalformedKey):
        RecipientKey.from_bytes(public).wrap(b"k" * 32, b"")


def test_a_key_of_another_kind_published_as_raw_block_is_refused(
    new_store: Callable[[str], EmbeddedStore],
) -> None:
    store = new_store("a")
    cid = store.put_block(Codec.RAW, b"not a key")
    with pytest.raises(MalformedKey):
        fetch_key(store, cid.digest)


def test_a_signature_holds_for_its_tag_digest_and_key_alone() -> None:
    key = SigningKey.generate()
    signature = key.sign("use/1", b"d" * 32)
    verify_signature(key.public, "use/1", b"d" * 32, signature)
    for public, tag, digest, made in (
        (SigningKey.generate().public, "use/1", b"d" * 32, signature),
        (key.public, "use/2", b"d" * 32, signature),
        (key.public, "use/1", b"e" * 32, signature),
        (key.public, "use/1", b"d" * 32, signature[:-1]),
        (key.public, "use/1", b"d" * 32, bytes(64)),
        (b"\xff" * 32, "use/1", b"d" * 32, signature),
        (key.public, "use/1d", b"d" * 31, signature),
    ):
        with pytest.raises(BadSignature):
            verify_signature(public, tag, digest, made)


def test_no_tag_is_a_prefix_of_another() -> None:
    every = [
        value if isinstance(value, bytes) else value.encode()
        for name, value in vars(tags).items()
        if name.isupper()
    ]
    assert len(every) == 15
    assert not [(a, b) for a in every for b in every if a is not b and b.startswith(a)]


def test_no_private_key_shows_itself() -> None:
    for key in (SigningKey(b"z" * 32), Identity(Profile.X_WING, b"z" * 32)):
        assert "7a7a" not in repr(key)
        assert "zz" not in repr(key)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_seed_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(MalformedKey):
        SigningKey(bytes(size))
    with pytest.raises(MalformedKey):
        Identity(Profile.X_WING, bytes(size))


@profiles
@pytest.mark.parametrize("passphrase", [None, "correct horse ü"])
def test_an_identity_reads_back_from_its_file(
    profile: Profile, passphrase: str | None, tmp_path: Path
) -> None:
    path, identity = tmp_path / "key", Identity.generate(profile)
    save_key(path, identity, passphrase)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_identity(path, passphrase).recipient == identity.recipient
    assert (identity.seed.hex() in path.read_text()) is (passphrase is None)
    with pytest.raises(MalformedKey, match="is not an ed25519 key"):
        load_signing_key(path, passphrase)


def test_a_signing_key_reads_back_from_its_file(tmp_path: Path) -> None:
    path, key = tmp_path / "key", SigningKey.generate()
    save_key(path, key)
    assert load_signing_key(path).public == key.public
    with pytest.raises(MalformedKey, match="is not a key of x-wing or x25519"):
        load_identity(path)


def test_a_key_file_without_the_right_passphrase_stays_shut(tmp_path: Path) -> None:
    path = tmp_path / "key"
    save_key(path, SigningKey.generate(), "right")
    with pytest.raises(WrongPassphrase, match="has a passphrase: give it"):
        load_signing_key(path)
    with pytest.raises(WrongPassphrase, match="wrong or the file was altered"):
        load_signing_key(path, "wrong")


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path, key = tmp_path / "key", SigningKey.generate()
    save_key(path, key)
    with pytest.raises(KeyFileExists, match=str(path)):
        save_key(path, SigningKey.generate())
    assert load_signing_key(path).public == key.public
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    save_key(path, SigningKey.generate())
    path.chmod(0o640)
    with pytest.raises(KeyFileExposed, match=f"chmod 600 {path}"):
        load_signing_key(path)


def test_a_missing_key_file_or_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileMissing, match=str(tmp_path / "key")):
        load_signing_key(tmp_path / "key")
    with pytest.raises(KeyFailure, match="cannot write the key file"):
        save_key(tmp_path / "no" / "key", SigningKey.generate())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"format": "consilium/private-key/1"', '"format": "other"'),
        ('"seed": "', '"seed": "zz'),
        ('"seed": "', '"seed": "00'),
        ('"seed"', '"sead"'),
        ('"public": "', '"public": "00'),
        ("{", ""),
        ('"kind": "ed25519"', '"kind": 1'),
        ('"kind": "ed25519"', '"kind": "rsa"'),
    ],
)
def test_a_key_file_that_was_altered_is_refused(before: str, after: str, tmp_path: Path) -> None:
    path, key = tmp_path / "key", SigningKey.generate()
    save_key(path, key)
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    with pytest.raises(KeyFailure) as caught:
        load_signing_key(path, "any")
    assert key.seed.hex() not in str(caught.value)


def test_a_key_file_may_be_protected_by_another_key(tmp_path: Path) -> None:
    path, signing = tmp_path / "signing.json", SigningKey.generate()
    save_key(path, signing, b"\x01" * 32)
    assert signing.seed.hex() not in path.read_text("utf-8")
    assert load_signing_key(path, b"\x01" * 32).public == signing.public
    for wrong in (b"\x02" * 32, None):
        with pytest.raises(WrongPassphrase, match=r"signing\.json"):
            load_signing_key(path, wrong)
