"""An invitation opens for who is invited alone, and only from who was expected to invite."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import Identity, Sender, SigningKey, dagcbor
from storage.cluster_config import ClusterMember, cluster_secret
from storage.errors import (
    ArtefactError,
    MalformedRecord,
    NodeFailed,
    StorageError,
    WrongContext,
    WrongSigner,
)
from storage.kubo_config import Peer, swarm_key
from storage.swarm_card import MAX_CARD, Card, read_card, write_card
from storage.swarm_folder import SwarmFolder
from storage.swarm_invitation import MAX_SIZE, Invitation, invite, open_invitation

NODE = Peer("12D3KooWNMXuvSGBzCjQFt6P72f8mQTW7tx9VfQdZymP3PENKHv1", "192.0.2.7", 4001)
PEER = ClusterMember("12D3KooWSTFYmb9t5PZQXbB5ZTFEGyLfGAmRXaFnjC2qGtSWbCxS", "2001:db8::7", 9096)
CARD = Card("harbor", NODE, PEER)
CENTER = Sender(b"\xce" * 20, SigningKey.generate())
NORTH, EVE = Identity.generate(), Identity.generate()


def invitation() -> Invitation:
    return Invitation(swarm_key(), cluster_secret(), [CARD, replace(CARD, name="hill")])


def test_who_is_invited_reads_secrets_and_members() -> None:
    sent = invitation()
    assert open_invitation(invite(sent, NORTH.recipient, CENTER), NORTH, CENTER.signer) == sent
    for secret in (sent.swarm_key, sent.cluster_secret):
        assert secret not in repr(sent)


def test_nobody_else_reads_it() -> None:
    sent = invitation()
    content = invite(sent, NORTH.recipient, CENTER)
    for secret in (sent.swarm_key.split()[-1], sent.cluster_secret):
        assert secret.encode() not in content
        assert bytes.fromhex(secret) not in content
    with pytest.raises(WrongContext):
        open_invitation(content, EVE, CENTER.signer)


def test_a_false_swarm_cannot_invite_in_anothers_name() -> None:
    """Whoever knows north's public key can seal to it: the signature alone says from whom."""
    stranger = Sender(CENTER.address, SigningKey.generate())
    content = invite(invitation(), NORTH.recipient, stranger)
    with pytest.raises(WrongSigner):
        open_invitation(content, NORTH, CENTER.signer)


def test_parts_of_two_invitations_make_none() -> None:
    one, other = (dagcbor.decode(invite(invitation(), NORTH.recipient, CENTER)) for _ in range(2))
    assert isinstance(one, dict)
    assert isinstance(other, dict)
    for part in ("envelope", "manifest", "payload"):
        with pytest.raises(StorageError):
            open_invitation(dagcbor.encode(one | {part: other[part]}), NORTH, CENTER.signer)


@given(st.data())
def test_a_changed_byte_is_an_error_of_this_package(data: st.DataObject) -> None:
    content = bytearray(SENT)
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(StorageError):
        open_invitation(bytes(content), NORTH, CENTER.signer)


SENT = invite(invitation(), NORTH.recipient, CENTER)


@given(st.binary(max_size=200))
def test_what_is_no_invitation_is_refused(content: bytes) -> None:
    with pytest.raises((MalformedRecord, ArtefactError)):
        open_invitation(content, NORTH, CENTER.signer)


def test_a_file_that_fills_the_memory_is_refused_unread() -> None:
    with pytest.raises(MalformedRecord, match="no invitation"):
        open_invitation(bytes(MAX_SIZE + 1), NORTH, CENTER.signer)


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("/key/swarm/psk/1.0.0/\n/base16/\nab", "ab" * 32),
        (f"/key/swarm/psk/1.0.0/\n/base16/\n{'ab' * 32}\n", "AB" * 32),
        (f"/key/swarm/psk/1.0.0/\n/base16/\n{'ab' * 32}\nmore", "ab" * 32),
    ],
)
def test_secrets_that_would_leave_a_swarm_open_are_refused(key: str, secret: str) -> None:
    with pytest.raises(MalformedRecord, match="swarm key and a cluster secret"):
        Invitation(key, secret, [CARD])


GOOD = CARD.to_tree()


@pytest.mark.parametrize(
    "bad",
    [
        {**GOOD, "name": "../../etc"},
        {**GOOD, "name": "Harbor"},
        {**GOOD, "name": ""},
        {**GOOD, "node": ["*", NODE.host, 4001]},
        {**GOOD, "node": [NODE.peer_id, "0.0.0.0", 4001]},
        {**GOOD, "node": [NODE.peer_id, "192.0.2.7/p2p-circuit", 4001]},
        {**GOOD, "node": [NODE.peer_id, NODE.host, 0]},
        {**GOOD, "node": [NODE.peer_id, NODE.host, True]},
        {**GOOD, "peer": ["*", PEER.host, 9096]},
        {**GOOD, "peer": [PEER.peer_id, PEER.host, 65536]},
        {**GOOD, "peer": [PEER.peer_id, PEER.host]},
        {**GOOD, "more": 1},
        {},
        [],
        None,
    ],
)
def test_a_card_that_would_reach_into_a_configuration_is_refused(
    bad: object, tmp_path: Path
) -> None:
    """A peer id `*` among those who are trusted would trust everybody."""
    path = tmp_path / "card.json"
    path.write_text(json.dumps(bad))
    with pytest.raises(MalformedRecord):
        read_card(path)


def test_a_card_is_read_back_and_a_long_file_is_none(tmp_path: Path) -> None:
    write_card(tmp_path / "card.json", CARD)
    assert read_card(tmp_path / "card.json") == CARD
    (tmp_path / "long.json").write_text(json.dumps(GOOD) + " " * MAX_CARD)
    with pytest.raises(MalformedRecord, match="no card"):
        read_card(tmp_path / "long.json")


def test_a_folder_is_joined_once_and_its_secrets_are_the_owners(tmp_path: Path) -> None:
    sent = invitation()
    joined = SwarmFolder.join(tmp_path / "swarm", "north", "127.0.0.1", sent)
    for name, content in (("swarm.key", sent.swarm_key), ("cluster.secret", sent.cluster_secret)):
        path = tmp_path / "swarm" / name
        assert path.read_text() == content
        assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(path.stem for path in (joined.path / "members").iterdir()) == ["harbor", "hill"]
    with pytest.raises(NodeFailed, match="holds a swarm already"):
        SwarmFolder.join(tmp_path / "swarm", "north", "127.0.0.1", sent)


def test_a_member_takes_nobodys_name(tmp_path: Path) -> None:
    with pytest.raises(NodeFailed, match="called hill already"):
        SwarmFolder.join(tmp_path / "one", "hill", "127.0.0.1", invitation())
    folder = SwarmFolder.create(tmp_path / "two", ["harbor"])
    with pytest.raises(NodeFailed, match="another name"):
        folder.admit(CARD)
    for names in ([], ["a", "a"], ["../a"], ["A"]):
        with pytest.raises(NodeFailed, match="small letters"):
            SwarmFolder.create(tmp_path / "three", names)
