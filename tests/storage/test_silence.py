"""A block that nobody has is told from one that somebody may have who does not answer."""

import json
import os
from http.server import BaseHTTPRequestHandler

import pytest

from storage import Cid, Codec, Identity, Sender, SigningKey, raw_cid, seal
from storage.envelope import find_data_key
from storage.errors import MissingBlock, NotARecipient, Unanswered
from storage.kubo import KuboStore
from storage.manifest import read_manifest
from storage.private_swarm import PrivateSwarm
from storage.store import surely
from tests.storage.kit import SLOW_S, eventually, once_all_answer, paused
from tests.storage.test_kubo import hostile

pytestmark = [pytest.mark.engine("kubo"), pytest.mark.processes, pytest.mark.timeout(1800)]
PATIENT_S = 200.0


def test_what_no_member_has_is_missing_once_all_have_answered(swarm: PrivateSwarm) -> None:
    with swarm.store("hill", find_s=1) as hill:
        with pytest.raises(MissingBlock, match=r"2 members .* though all answer") as missing:
            once_all_answer(hill, lambda: hill.get_block(raw_cid(os.urandom(32))))
        assert not isinstance(missing.value, Unanswered)


def test_what_a_halted_member_has_is_not_said_to_be_missing(swarm: PrivateSwarm) -> None:
    with swarm.store("harbor") as harbor, swarm.store("hill", find_s=1) as hill:
        block = os.urandom(100)
        cid = harbor.put_block(Codec.RAW, block)
        with paused(swarm, "harbor") as peer, pytest.raises(Unanswered, match=peer):
            hill.get_block(cid)
    with swarm.store("hill", find_s=PATIENT_S) as hill:
        assert hill.get_block(cid) == block


def test_what_a_halted_member_announced_is_waited_for_before_it_is_said_to_be_nothing(
    swarm: PrivateSwarm,
) -> None:
    topic = os.urandom(32)
    with swarm.store("harbor") as harbor, swarm.store("hill", find_s=1) as hill:
        with paused(swarm, "harbor") as peer:
            with pytest.raises(Unanswered, match=f"{topic.hex()}.*{peer}"):
                hill.hear(topic)
            with pytest.raises(Unanswered):
                surely(hill, topic, lambda: hill.announced(topic))
        cid = harbor.put_block(Codec.RAW, os.urandom(100))
        harbor.announce(topic, cid)
        swarm.await_heard(SLOW_S)
    with swarm.store("hill", find_s=PATIENT_S) as hill:
        assert surely(hill, topic, lambda: None) is None
        assert hill.announced(topic) == [cid]
        assert hill.has(cid)  # fetched, so that what it says is at hand
        assert surely(hill, os.urandom(32), lambda: None) is None


def test_what_a_member_announced_that_nobody_has_keeps_nobody_waiting(swarm: PrivateSwarm) -> None:
    topic = os.urandom(32)
    with swarm.store("harbor") as harbor:
        harbor.announce(topic, raw_cid(os.urandom(32)))
        swarm.await_heard(SLOW_S)
        with swarm.store("hill", find_s=2) as hill:
            assert eventually(lambda: len(hill.announced(topic)) == 1)
            assert once_all_answer(hill, lambda: surely(hill, topic, lambda: None)) is None


def test_who_is_no_recipient_hears_that_an_envelope_may_be_with_a_halted_member(
    swarm: PrivateSwarm,
) -> None:
    sender, reader, stranger = SigningKey.generate(), Identity.generate(), Identity.generate()
    with swarm.store("hill", find_s=PATIENT_S) as hill:
        sealed = seal(
            hill,
            b"an update",
            kind="update",
            schema=bytes(32),
            context=bytes(32),
            sender=Sender(bytes(20), sender),
            recipients=[reader.recipient],
        )
        manifest = read_manifest(hill, sealed.manifest_digest)
        with pytest.raises(NotARecipient) as alone:
            find_data_key(hill, manifest, stranger)
        assert alone.value.__cause__ is None
        hill.find_s = 2
        with paused(swarm, "harbor"), pytest.raises(NotARecipient) as silent:
            find_data_key(hill, manifest, stranger)
        assert isinstance(silent.value.__cause__, Unanswered)


def test_a_block_of_the_own_slow_disk_is_waited_for() -> None:
    """Kubo says the same of a member and of its own disk: that time was up."""
    block, calls = os.urandom(100), list[str]()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.split("?")[0].removeprefix("/api/v0/")
        calls.append(path)
        late = path == "block/get" and calls.count(path) == 1
        said = json.dumps({"Message": "context deadline exceeded"}).encode()
        body = said if late else block if path == "block/get" else b"{}"
        handler.send_response(500 if late else 200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    with hostile(slow) as url, KuboStore(url) as store:
        assert store.get_block(Cid.of(Codec.RAW, block)) == block
    assert calls == ["block/get", "block/stat", "block/get"]
