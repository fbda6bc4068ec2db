"""A member of a cluster: what pinned means, whom it obeys, and what its files give away."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from storage import Cid, Codec
from storage.backends import backend_of, open_store, reach_store
from storage.cluster import ClusterStore
from storage.cluster_member import Member, read_member
from storage.cluster_rpc import ClusterRpc, Copy
from storage.cluster_swarm import ClusterSwarm
from storage.errors import KeyFileExposed, MalformedRecord, NodeFailed, TooFewCopies, Unreachable
from storage.hardening import findings
from storage.hardening_cluster import CLUSTER_RULES
from storage.swarm_card import read_card
from tests.storage.kit import SLOW_S, eventually
from tests.storage.test_kubo import hostile, saying

pytestmark = [
    pytest.mark.engine("kubo", "cluster"),
    pytest.mark.processes,
    pytest.mark.timeout(1800),
]


def test_pinned_means_that_so_many_report_it_and_states_are_told(cluster: ClusterSwarm) -> None:
    told: list[list[Copy]] = []

    def tell(_cid: Cid, copies: Sequence[Copy]) -> None:
        told.append(list(copies))

    with cluster.store("harbor", copies=3, told=tell) as store:
        cid = store.put_block(Codec.RAW, os.urandom(40))
        store.pin(cid)
        assert {(copy.peer, copy.state) for copy in told[-1]} == {
            (name, "pinned") for name in ("harbor", "hill", "center")
        }
        assert all(earlier != later for earlier, later in pairwise(told))
    for node in cluster.nodes.values():
        with node.store(find_s=1) as alone:
            assert cid in alone.pins()
            assert alone.has(cid)


def test_more_copies_than_members_are_refused_at_the_deadline(cluster: ClusterSwarm) -> None:
    with cluster.store("harbor", copies=4, pin_s=5) as store:
        cid = store.put_block(Codec.RAW, os.urandom(40))
        with pytest.raises(TooFewCopies, match=f"{cid} .* of 4 copies after 5 s.*not enough peers"):
            store.pin(cid)
        assert cid not in store.pins()


def test_a_wait_that_ends_within_a_call_says_what_was_said_before() -> None:
    """That the last call was cut short by the deadline is no reason that helps."""
    asked, over = list[str](), threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        if len(asked) > 1:
            over.wait(SLOW_S)
        with suppress(OSError):
            saying(500, b'{"code": 500, "message": "not enough peers"}')(handler)

    cid = Cid.of(Codec.RAW, b"")
    with hostile(answer) as url:
        member = Member("http://127.0.0.1:1", url, "member", "password", 2)
        with ClusterStore(member, pin_s=5) as store:
            with pytest.raises(TooFewCopies, match=r"0 of 2 copies after 5 s.*not enough peers"):
                store._keep(cid, time.monotonic() + store.pin_s)
            over.set()
    assert len(asked) > 1


def test_a_member_file_opens_the_store_and_is_its_owners_alone(
    cluster: ClusterSwarm, tmp_path: Path
) -> None:
    where = cluster.address("hill")
    assert backend_of(where) == "cluster-private"
    # A copy of another test may come between the two.
    assert eventually(lambda: open_store(where).pins() == reach_store(where).pins())
    path = cluster.member_file("hill")
    assert path.stat().st_mode & 0o777 == 0o600
    copy = tmp_path / "member.json"
    copy.write_bytes(path.read_bytes())
    copy.chmod(0o640)
    with pytest.raises(KeyFileExposed, match="chmod 600"):
        open_store(f"cluster:{copy}")
    with pytest.raises(Unreachable, match="start the swarm"):
        open_store(f"cluster:{tmp_path / 'none'}")


@pytest.mark.parametrize(
    "content", ["{}", "[]", "no json", '{"kubo": 1, "cluster": "", "user": "", "password": ""}']
)
def test_what_is_no_member_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "member.json"
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(MalformedRecord, match="start the swarm anew"):
        read_member(path)


def test_a_member_file_that_asks_for_no_copy_is_refused(
    cluster: ClusterSwarm, tmp_path: Path
) -> None:
    """Else pinned would mean nothing."""
    path = tmp_path / "member.json"
    replace(read_member(cluster.member_file("hill")), copies=0).write(path)
    with pytest.raises(MalformedRecord, match="no copy at all"):
        read_member(path)


def test_nobody_without_the_password_commands_a_peer(cluster: ClusterSwarm) -> None:
    member = read_member(cluster.member_file("harbor"))
    for auth in (None, (member.user, "guessed")):
        answer = httpx.get(f"{member.cluster}/pins", auth=auth, trust_env=False)
        assert answer.status_code == 401
    with ClusterStore(replace(member, password="guessed-and-wrong"), pin_s=5) as store:
        cid = store.put_block(Codec.RAW, os.urandom(40))
        for act in (lambda: store.pin(cid), store.pins):
            with pytest.raises(Unreachable, match="does not take the password") as caught:
                act()
            assert member.password not in str(caught.value)
    assert member.password not in repr(member)


def test_no_rule_of_the_check_is_broken_by_what_is_written(cluster: ClusterSwarm) -> None:
    for peer in cluster.peers.values():
        config = json.loads((peer.path / "service.json").read_text())
        assert findings(CLUSTER_RULES, config, "cluster") == []
        for name in ("service.json", "identity.json"):
            assert (peer.path / name).stat().st_mode & 0o777 == 0o600
        trusted = config["consensus"]["crdt"]["trusted_peers"]
        assert trusted == sorted(item.peer_id for item in cluster.peers.values())
    assert (cluster.folder / "cluster.secret").stat().st_mode & 0o777 == 0o600


def test_variables_of_the_environment_change_no_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer takes settings out of them over the file's: one of these would trust everybody."""
    monkeypatch.setenv("CLUSTER_CRDT_TRUSTEDPEERS", "*")
    monkeypatch.setenv("CLUSTER_RESTAPI_BASICAUTHCREDENTIALS", "eve:eve")
    monkeypatch.setenv("CLUSTER_SECRET", "00" * 32)
    with ClusterSwarm(tmp_path, ["harbor"]) as swarm:
        member = read_member(swarm.member_file("harbor"))
        environment = Path(f"/proc/{swarm.peers['harbor'].pid}/environ").read_bytes()
        assert b"CLUSTER_SECRET" not in environment
        eve = httpx.get(f"{member.cluster}/id", auth=("eve", "eve"), trust_env=False)
        assert eve.status_code == 401


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A peer that gives these bytes to whoever asks, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                link, _ = server.accept()
                with link:
                    if not link.recv(1 << 16):
                        return
                    link.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        socket.create_connection(server.getsockname()).close()
        thread.join()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Stream-Error\r\n\r\n"
LINE = b'{"cid": "bafy", "allocations": ["one"], "peer_map": {}}\n'
PIECE = b"%x\r\n%b\r\n" % (len(LINE), LINE)


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (b"0\r\nX-Stream-Error: disk on fire\r\n\r\n", "broke its list off: disk on fire"),
        (b"", "cannot be reached"),
        (b"5\r\n{...}\r\n0\r\n\r\n", "no REST API of IPFS Cluster"),
        (b"2\r\n[]\r\n0\r\n\r\n", "no REST API of IPFS Cluster"),
    ],
    ids=["trailer", "cut", "no json", "no list of pins"],
)
def test_half_a_list_never_looks_whole(rest: bytes, said: str) -> None:
    """Whoever collects garbage by it would lose what the other half holds."""
    with answering(CHUNKED + PIECE + rest) as url:
        rpc = ClusterRpc(url, "member", "password", timeout_s=SLOW_S)
        with pytest.raises(Unreachable, match=said):
            rpc.pinset()


def test_only_who_was_asked_for_a_copy_is_heard() -> None:
    """Who has the secret answers for every root, with any name: such copies would be no copies."""
    said = b'{"peername": "harbor", "status": "pinned"}'
    line = b'{"cid": "bafy", "allocations": ["a"], "peer_map": {"a": %b, "eve": %b}}\n' % (
        said,
        said,
    )
    with answering(CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(line), line)) as url:
        found = ClusterRpc(url, "member", "password", timeout_s=SLOW_S).pinset()
    assert found == {"bafy": [Copy("harbor", "pinned")]}


def test_a_whole_list_is_taken() -> None:
    with answering(CHUNKED + PIECE + b"0\r\nX-Stream-Error: \r\n\r\n") as url:
        assert ClusterRpc(url, "member", "password", timeout_s=SLOW_S).pinset() == {"bafy": []}


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"]
)
def test_what_is_no_peer_is_said_so(answer: bytes) -> None:
    ask: list[Callable[[ClusterRpc], object]] = [
        lambda rpc: rpc.copies("bafy"),
        ClusterRpc.pinset,
    ]
    for act in ask:
        with answering(answer) as url, pytest.raises(Unreachable, match=url):
            act(ClusterRpc(url, "member", "password", timeout_s=SLOW_S))


def test_a_second_process_does_not_run_the_same_swarm(cluster: ClusterSwarm) -> None:
    with pytest.raises(NodeFailed, match="another process"):
        ClusterSwarm(cluster.folder, ["harbor"]).start()


def test_who_has_the_secrets_and_is_not_named_changes_nothing(
    cluster: ClusterSwarm, tmp_path: Path
) -> None:
    """As a member who left, or a stolen folder: it connects and hears, and nobody obeys it."""
    cards = [read_card(cluster.folder / name / "card.json") for name in cluster.nodes]
    for name in ("swarm.key", "cluster.secret"):
        (tmp_path / name).write_bytes((cluster.folder / name).read_bytes())
        (tmp_path / name).chmod(0o600)
    abroad = [(card.node, card.peer) for card in cards]
    with (
        ClusterSwarm(tmp_path, ["eve"], abroad=abroad) as outside,
        outside.store("eve", copies=1) as eve,
        cluster.store("harbor", copies=3) as harbor,
    ):

        def pinned() -> Cid:
            cid = harbor.put_block(Codec.RAW, os.urandom(40))
            harbor.pin(cid)
            assert eventually(lambda: str(cid) in eve.cluster.pinset())
            return cid

        wanted = pinned()
        eve.cluster.unpin(str(wanted))
        assert str(wanted) not in eve.cluster.pinset()
        evil = eve.put_block(Codec.RAW, os.urandom(40))
        eve.cluster.pin(str(evil), 1, 3)
        pinned()  # what comes after her orders is heard by her, so hers had the time
        assert wanted in harbor.pins()
        assert str(evil) not in harbor.cluster.pinset()
        assert not any(_pins_alone(cluster, name, evil) for name in cluster.nodes)


def _pins_alone(cluster: ClusterSwarm, name: str, cid: Cid) -> bool:
    with cluster.nodes[name].store(find_s=1) as alone:
        return cid in alone.pins()
