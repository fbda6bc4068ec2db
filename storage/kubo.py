"""Blocks in a Kubo node: its own, and through it those of every member of a private swarm.

The node is not trusted: CIDs are computed from what is sent and compared with what it says, and
every read recomputes them. Announcements are in `storage.feeds`.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Self

from storage.cid import DIGEST_SIZE, Cid, Codec
from storage.errors import (
    CorruptBlock,
    MalformedCid,
    MissingBlock,
    NotPrivate,
    TooSlow,
    Unanswered,
    Unreachable,
)
from storage.feed_reading import MAX_LISTED
from storage.feeds import Feeds
from storage.kubo_config import ways_out
from storage.kubo_control import KuboControl
from storage.kubo_leaves import TRANSFER_S, each_leaf
from storage.kubo_members import Answers, Members
from storage.kubo_rpc import KuboRpc
from storage.outgoing import Outgoing, outgoing
from storage.read_ahead import read_ahead
from storage.store import MAX_BLOCK_SIZE, TakeLeaf, check_block_size, links, verify
from storage.unixfs import CHUNK_SIZE, MAX_LINKS, Readable, export_file

CALL_S = 60.0  # a disk under load takes its time
FIND_S = 10.0  # with all members one hop away, who has a block gives it at once
_AT_ONCE = 100  # CIDs in a call: a node looks through all its pins for each one
_CODECS = {Codec.RAW: "raw", Codec.DAG_PB: "dag-pb", Codec.DAG_CBOR: "dag-cbor"}
# Profile unixfs-v1-2025, said with each call: a node of other settings gives the same CIDs.
_PROFILE = {
    "cid-version": "1",
    "raw-leaves": "true",
    "hash": "sha2-256",
    "chunker": f"size-{CHUNK_SIZE}",
    "max-file-links": str(MAX_LINKS),
    "trickle": "false",
    "pin": "false",
    "quieter": "true",
    "progress": "false",
}


class KuboStore:
    """A `BlockStore` behind one node's RPC, `http://host:port`."""

    def __init__(self, api_url: str, *, find_s: float = FIND_S, call_s: float = CALL_S) -> None:
        """Opens no connection yet. `find_s` is how long other members are asked for a block."""
        self.find_s = find_s
        self.url = api_url.rstrip("/")
        self.control = KuboControl(self.url, timeout_s=call_s)
        self.rpc = KuboRpc(self.url, timeout_s=call_s)
        self._feeds = Feeds(self.rpc, self.control)
        self._members = Members(self.rpc, self.control)

    def close(self) -> None:
        """Close the connections to the node."""
        self.rpc.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def put_block(self, codec: Codec, block: bytes) -> Cid:
        """See BlockStore. A block that is there but corrupt is replaced."""
        return self._put(codec, block, pin=False)

    def put_pinned(self, codec: Codec, block: bytes) -> Cid:
        """See BlockStore. A pin that is asked for by itself reads every leaf in the node once more.

        Garbage that was collected in between took the nodes above the leaves, too: they are asked
        for, and where one is gone the pin looks for everything.
        """
        cid = self._put(codec, block, pin=True)
        try:
            self._below(cid)
        except MissingBlock:
            self.control.unpin(str(cid))
            self.pin(cid)
        return cid

    def _put(self, codec: Codec, block: bytes, *, pin: bool) -> Cid:
        check_block_size(block)
        cid = Cid.of(codec, block)
        wanted = {"cid-codec": _CODECS[codec], "mhtype": "sha2-256", "pin": str(pin).lower()}
        answer = self.rpc.upload("block/put", wanted, [block], len(block))
        return self._same(cid, answer, "Key")

    def get_block(self, cid: Cid) -> bytes:
        """See BlockStore. Other members are asked for `find_s` seconds."""
        try:
            block = self._read(cid, self.find_s)
        except (TooSlow, MissingBlock):
            block = self._read_late(cid)
        return verify(cid, block, f"the IPFS node at {self.url}")

    def _read(self, cid: Cid, wait_s: float) -> bytes:
        asked = {"arg": str(cid)}
        return self.rpc.read("block/get", asked, limit=MAX_BLOCK_SIZE, timeout_s=wait_s)

    def _read_late(self, cid: Cid) -> bytes:
        """The same, where the own disk was slow, or a member, which a ping then shows."""
        if self.has(cid):
            return self._read(cid, self.rpc.timeout_s)
        answers = self._members.ask(self.find_s)
        try:
            return self._read(cid, min(answers.patience_s, self.rpc.timeout_s))
        except (TooSlow, MissingBlock) as exc:
            raise self._missing(cid, answers) from exc

    def each_leaf(self, file: Cid, leaves: Sequence[Cid], take: TakeLeaf) -> None:
        """See BlockStore. Out of one call; a leaf that comes wrong or late is asked for alone."""
        each_leaf(self.rpc, file, leaves, take, self.get_block, self.find_s)

    def has(self, cid: Cid) -> bool:
        """See BlockStore. Whether the node itself has it; other members are not asked."""
        try:
            self.rpc.call("block/stat", {"arg": str(cid), "offline": "true"})
        except MissingBlock:
            return False
        return True

    def add_file(self, stream: Readable) -> Cid:
        """See BlockStore. The stream is read once, and sent while it is hashed."""
        with outgoing(stream) as file:
            return self._send(file)

    def _send(self, file: Outgoing) -> Cid:
        answer = self.rpc.upload("add", _PROFILE, file, file.size, timeout_s=TRANSFER_S)
        return self._same(file.cid(), answer, "Hash")

    def cat(self, cid: Cid, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See BlockStore. A whole file is read ahead, a part block by block."""
        if offset == 0 and length is None:
            return read_ahead(cid, self.get_block)
        return export_file(cid, self.get_block, offset, length)

    def pin(self, *cids: Cid) -> None:
        """See BlockStore. What the node lacks it fetches from the other members."""
        for start in range(0, len(cids), _AT_ONCE):
            part = cids[start : start + _AT_ONCE]
            try:
                self.control.pin(map(str, part), self.find_s)
            except (TooSlow, MissingBlock):
                for cid in part:
                    self._fetch_all(cid)
                self.control.pin(map(str, part), TRANSFER_S)

    def unpin(self, cid: Cid) -> None:
        """See BlockStore."""
        self.control.unpin(str(cid))

    def pins(self) -> list[Cid]:
        """See BlockStore. What others pinned at this node under other kinds of CID is left out."""
        return self.own_pins()

    def own_pins(self) -> list[Cid]:
        """See Node."""
        return readable(self.control.pins())

    def wanted(self) -> list[Cid]:
        """See Node."""
        return self.own_pins()

    def announce(self, topic: bytes, *cids: Cid) -> None:
        """See BlockStore, and `storage.feeds`."""
        self._feeds.announce(_checked(topic), cids)

    def announced(self, topic: bytes) -> list[Cid]:
        """See BlockStore: what this node and the members that it is connected to know."""
        return self._feeds.announced(_checked(topic))

    def hear(self, topic: bytes) -> None:
        """See BlockStore. Each member is given `find_s`, and must answer a ping after it."""
        told = self._feeds.hear(_checked(topic), self.find_s)
        if cut := sorted(peer for peer, feed in told.items() if feed.cut):
            raise Unanswered(
                f"under {topic.hex()} {', '.join(cut)} announced more than the {MAX_LISTED} that "
                f"the IPFS node at {self.url} reads of one member: ask who runs it to remove what "
                "is none of the study's, or take it out of the swarm"
            )
        answers = self._members.ask(self.find_s)
        ended = {peer for peer, feed in told.items() if feed.whole or not feed.named}
        # What is known of a member that is halted may be old; one that came later was not asked.
        if silent := sorted({*told, *answers.heard, *answers.silent} - (ended & {*answers.heard})):
            raise Unanswered(
                f"the IPFS node at {self.url} does not know all that was announced under "
                f"{topic.hex()}: {', '.join(silent)} did not tell within {self.find_s:.0f} s; "
                "start what is down, or wait until it is connected, then try again"
            )

    def drop(self, root: Cid) -> None:
        """Remove a root and all below it from this node; other members keep theirs.

        Raises Unreachable where anything of it is pinned, and removes what is not.
        """
        if kept := self.forget(self._below(root)):
            raise Unreachable(
                f"the IPFS node at {self.rpc.url} keeps a block, {kept[0]}, and {len(kept) - 1} "
                "more: they are pinned there; unpin them, then try again"
            )

    def forget(self, cids: Iterable[Cid]) -> list[Cid]:
        """Remove blocks from this node; those that stay, for a pin needs them."""
        doomed = sorted(set(cids))
        for start in range(0, len(doomed), _AT_ONCE):
            part = [str(cid) for cid in doomed[start : start + _AT_ONCE]]
            self.rpc.read("block/rm", {"arg": part, "force": "true"}, limit=1 << 20)
        return [cid for cid in doomed if self.has(cid)]

    def _below(self, root: Cid) -> list[Cid]:
        """A root and all that it links to, each once; it reads every block but the leaves."""
        found, stack = {root}, [root]
        while stack:
            if (cid := stack.pop()).codec is not Codec.RAW:
                fresh = set(links(cid, self.get_block(cid))) - found
                found |= fresh
                stack.extend(fresh)
        return list(found)

    def connect(self, address: str) -> None:
        """Dial a member, `/ip4/…/tcp/…/p2p/ID`. Raises Unreachable where that fails."""
        # Not in the adapter: that client takes the address apart into letters.
        self.rpc.call("swarm/connect", {"arg": address})

    def publish_feed(self) -> None:
        """Tell the members what this node has announced: once it has started, and is connected."""
        self._feeds.publish()

    def feed_root(self) -> str:
        """The CID of all that this node has announced. Raises Unreachable."""
        return self._feeds.root()

    def heard(self, peer: str) -> str:
        """The `feed_root` of another member as this node knows it; empty where it does not."""
        return self._feeds.heard(peer)

    def expect_private(self) -> None:
        """Raise NotPrivate for a node that would ask or tell strangers what it has."""
        config = self.rpc.call("config/show", {})
        if not isinstance(config, dict) or "Identity" not in config:
            raise Unreachable(f"what answers at {self.url} is no RPC of Kubo: correct the address")
        if open_ways := ways_out(config):
            raise NotPrivate(
                f"the IPFS node at {self.url} is open to strangers ({', '.join(open_ways)}): use "
                "the node of a private swarm, see storage/kubo_config.py"
            )

    def _fetch_all(self, root: Cid) -> None:
        """Get every block below a root, so that progress counts, and the one that is missing is
        named: a pin in the node says neither."""
        seen = {root}
        stack = [root]
        while stack:
            cid = stack.pop()
            if cid.codec is Codec.RAW and self.has(cid):
                continue
            fresh = set(links(cid, self.get_block(cid))) - seen
            seen.update(fresh)
            stack.extend(fresh)

    def _same(self, cid: Cid, answer: Any, field: str) -> Cid:
        said = str(answer.get(field)) if isinstance(answer, dict) else "nothing"
        if said != str(cid):
            raise CorruptBlock(
                f"the IPFS node at {self.url} calls {said[:80]} what hashes to {cid}: its disk, "
                "its memory or the program is at fault; use another node"
            )
        return cid

    def _missing(self, cid: Cid, answers: Answers) -> MissingBlock:
        where = f"{cid} is not at the IPFS node at {self.url}, and none of the"
        waited = f"gave it within {self.find_s:.0f} s"
        if answers.silent:
            return Unanswered(
                f"{where} {len(answers.heard)} members that answer {waited}; "
                f"{', '.join(answers.silent)} did not answer: start what is down, or wait until it "
                "is connected, then try again"
            )
        return MissingBlock(
            f"{where} {len(answers.heard)} members connected to it {waited}, though all answer: "
            "ask the member who made it to pin it again"
        )


def readable(texts: Iterable[str]) -> list[Cid]:
    """CIDs, sorted, without those of a kind that no store here writes: another program's."""
    found: list[Cid] = []
    for text in texts:
        with suppress(MalformedCid):
            found.append(Cid.parse(text))
    return sorted(found)


def _checked(topic: bytes) -> bytes:
    if len(topic) != DIGEST_SIZE:
        raise MalformedCid(f"a topic is a digest of 32 bytes, got {len(topic)}")
    return topic
