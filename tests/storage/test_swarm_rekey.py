"""A member leaves: the others' new secrets shut it out, and keep what they have."""

import io
import os
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from storage import Cid
from storage.errors import MissingBlock, NodeFailed
from storage.kubo import KuboStore
from storage.kubo_control import KuboControl
from storage.swarm_card import read_card
from storage.swarm_folder import SwarmFolder
from storage.swarm_invitation import Invitation
from tests.storage.kit import LONG, eventually

KEY = f"/key/swarm/psk/1.0.0/\n/base16/\n{'ab' * 32}\n"


def three_parties(folder: Path) -> list[SwarmFolder]:
    """Each with one member; none has run yet."""
    return [SwarmFolder.create(folder / name, [name]) for name in ("center", "harbor", "north")]


def test_new_secrets_are_other_ones_and_their_owners_alone(tmp_path: Path) -> None:
    (center, *_others) = three_parties(tmp_path)
    center.renew(Invitation(KEY, "cd" * 32, []))
    before = [(center.path / name).read_text() for name in ("swarm.key", "cluster.secret")]
    assert before == [KEY, "cd" * 32]
    center.rekey()
    for name, old in zip(("swarm.key", "cluster.secret"), before, strict=True):
        path = center.path / name
        assert len(path.read_text()) == len(old)
        assert path.read_text() != old
        assert path.stat().st_mode & 0o777 == 0o600


def test_who_is_no_member_cannot_be_left_out_and_nothing_changes(tmp_path: Path) -> None:
    (center, *_others) = three_parties(tmp_path)
    center.renew(Invitation(KEY, "cd" * 32, []))
    for name in ("nobody", "center"):  # whose own folder it is cannot leave it
        with pytest.raises(NodeFailed, match=f"{name} is no member that others run"):
            center.rekey(without=[name])
    assert (center.path / "swarm.key").read_text() == KEY


def pinned(folder: SwarmFolder, name: str) -> Cid:
    with folder.swarm().store(name) as store:
        store.copies = 3
        cid = store.add_file(io.BytesIO(os.urandom(3 << 20)))
        store.pin(cid)
        return cid


def meet(parties: list[SwarmFolder]) -> None:
    """All learn of all: the first invites, the others take over."""
    for party in parties:
        with party.swarm():
            pass  # ids and ports are chosen now
    cards = [read_card(party.path / party.names[0] / "card.json") for party in parties]
    first, *others = parties
    for card in cards[1:]:
        first.admit(card)
    for party in others:
        party.renew(first.invitation())


def up(stack: ExitStack, party: SwarmFolder) -> None:
    stack.enter_context(party.swarm())


def members_seen(party: SwarmFolder) -> int:
    with party.swarm().store(party.names[0]) as store:
        return len(KuboControl(store.url, timeout_s=10).peers())


def peers_seen(party: SwarmFolder) -> int:
    with party.swarm().store(party.names[0]) as store:
        return len(store.cluster.known("freespace"))


def all_meet(parties: list[SwarmFolder]) -> None:
    for party in parties:
        assert eventually(lambda p=party: members_seen(p) == len(parties) - 1, 300)
        assert eventually(lambda p=party: peers_seen(p) == len(parties), 300)


@LONG
@pytest.mark.timeout(1800)
@pytest.mark.engine("kubo", "cluster")
@pytest.mark.processes
def test_who_left_is_outside_and_the_others_keep_what_they_had(tmp_path: Path) -> None:
    parties = [center, harbor, north] = three_parties(tmp_path)
    meet(parties)
    with ExitStack() as stack:
        for party in parties:
            up(stack, party)
        all_meet(parties)
        old = pinned(center, "center")
        with pytest.raises(NodeFailed, match="end it by `consilium swarm down`"):
            center.rekey(without=["north"])
    center.rekey(without=["north"])
    harbor.renew(center.invitation())
    with ExitStack() as stack:
        for party in parties:
            up(stack, party)
        all_meet([center, harbor])
        assert members_seen(north) == 0
        assert peers_seen(north) == 1
        with center.swarm().store("center") as store:
            new = store.add_file(io.BytesIO(os.urandom(3 << 20)))
            store.pin(new)
            assert set(store.pins()) == {old, new}
        with north.swarm().store("north", find_s=3) as outside:
            assert b"".join(outside.cat(old))  # what it has learned it keeps
            with pytest.raises(MissingBlock, match="none of the 0 members"):
                outside.get_block(new)


@LONG
@pytest.mark.timeout(1800)
@pytest.mark.engine("kubo", "cluster")
@pytest.mark.processes
def test_a_member_goes_on_from_its_backup_and_gets_its_blocks_again(tmp_path: Path) -> None:
    """What docs/operations.md says is enough is enough."""
    parties = [_center, _harbor, north] = three_parties(tmp_path)
    meet(parties)
    with ExitStack() as stack:
        for party in parties:
            up(stack, party)
        all_meet(parties)
        cid = pinned(north, "north")
    kept = ("--exclude=blocks", "--exclude=datastore", "--exclude=leveldb")
    tar("--create", *kept, "--file=north.tar", "north", at=tmp_path)
    shutil.rmtree(tmp_path / "north")
    tar("--extract", "--preserve-permissions", "--file=north.tar", at=tmp_path)
    assert (tmp_path / "north.tar").stat().st_size < 1 << 20  # no block is in it
    with ExitStack() as stack:
        for party in parties:
            up(stack, party)
        all_meet(parties)
        with north.swarm().store("north") as store:
            assert eventually(lambda: set(held_alone(north)) >= {cid}, 300)
            assert cid in store.pins()


def tar(*arguments: str, at: Path) -> None:
    subprocess.run(["tar", *arguments], cwd=at, check=True)


def held_alone(party: SwarmFolder) -> list[Cid]:
    """What the member's own node has pinned, wherever else it lies."""
    with KuboStore(party.swarm().store(party.names[0]).url, find_s=1) as alone:
        return alone.pins()
