"""What one member's feed lists (storage.feeds), as another node reads it: so much, within a time.

A folder `<topic>` holds the CIDs that the member announced, and `<topic>/heard` what it heard from
others, each as `<from whom>.<CID>`: so neither can fill the other's place.
"""

import re
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from storage.cid import Cid
from storage.errors import MalformedCid, MissingBlock, StorageError, TooSlow, Unreachable
from storage.kubo_rpc import KuboRpc

MAX_LISTED = 4096  # names of each kind that are read of one member under one topic
MAX_SHARE = 256  # of what one member announced, or heard, that another passes on under a topic
HEARD = "heard"
_VIA = "via-"  # from who did not announce it, but heard of it
_LIMIT = MAX_LISTED * 320  # a node says less of a name that is right, so 1.25 MiB
_BEGIN = b'{"Objects":'
_NAME = re.compile(rb'"Name":"([^"\\]*)"')
_NAMES_ONLY = {"resolve-type": "false", "size": "false"}
_TICK_S = 0.1


@dataclass(frozen=True, slots=True)
class Told:
    """What a member told under one topic, in part unless `whole`."""

    own: frozenset[Cid] = frozenset()
    heard: frozenset[Cid] = frozenset()
    whole: bool = False
    named: bool = True
    """Whether the node knows of a feed of this member at all."""
    cut: bool = False
    """Whether it lists more than anybody reads."""

    @property
    def all(self) -> frozenset[Cid]:
        """Whoever announced it."""
        return self.own | self.heard


def read_feed(rpc: KuboRpc, peer: str, topic: bytes, wait_s: float, *, patient: bool) -> Told:
    """What a member lists, as far as `wait_s` is enough; `patient` waits for a feed so long."""
    deadline = time.monotonic() + wait_s
    root = root_of(rpc, peer, wait_s)  # the first question may only make the node listen
    while patient and not root and (left_s := deadline - time.monotonic()) > 0:
        time.sleep(min(_TICK_S, left_s))
        root = root_of(rpc, peer, left_s)
    if not root:
        return Told(named=False)
    path = f"/ipfs/{root}/{topic.hex()}"
    try:
        own, own_cut = _names(rpc, path, deadline)
    except Unreachable:
        return Told()
    mine = frozenset(cids(own))
    try:
        heard, heard_cut = _names(rpc, f"{path}/{HEARD}", deadline)
    except Unreachable:
        return Told(mine, cut=own_cut)
    cut = own_cut or heard_cut
    return Told(mine, frozenset(relayed(heard).values()), whole=not cut, cut=cut)


def root_of(rpc: KuboRpc, peer: str, wait_s: float) -> str:
    """The root of a member's feed as this node knows it; empty where it knows none."""
    with suppress(StorageError, KeyError, TypeError):
        name = {"arg": f"/ipns/{peer}", "nocache": "true"}
        found = rpc.call("name/resolve", name, timeout_s=wait_s)
        return str(found["Path"]).removeprefix("/ipfs/")
    return ""


def to_relay(told: Mapping[str, Told], own: Collection[Cid], kept: Collection[str]) -> list[str]:
    """What joins the `kept` names of `<topic>/heard`, of what members told, by who told it.

    Each has one share for what it announced and one for what it heard, and all together are no
    more than is read: who lists junk, and other junk later, fills shares that are its own.
    """
    before = relayed(kept)
    known = {*own, *before.values()}
    counts = Counter(name.rpartition(".")[0] for name in before)
    room = MAX_LISTED - len(kept)
    fresh: list[str] = []
    sources = [(peer, feed.own) for peer, feed in told.items()]
    sources += [(_VIA + peer, feed.heard) for peer, feed in told.items()]
    for source, listed in sources:
        most = max(0, min(MAX_SHARE - counts[source], room - len(fresh)))
        taken = sorted(listed - known)[:most]
        known.update(taken)
        fresh += [f"{source}.{cid}" for cid in taken]
    return fresh


def cids(names: Iterable[str]) -> Iterator[Cid]:
    """Those that are CIDs: a member may list anything, and what is none hides no other."""
    for name in names:
        with suppress(MalformedCid):
            yield Cid.parse(name)


def relayed(names: Iterable[str]) -> dict[str, Cid]:
    """The CIDs in names of a folder `heard`, by name, without what is of another form."""
    found: dict[str, Cid] = {}
    for name in names:
        source, _, text = name.rpartition(".")
        with suppress(MalformedCid):
            if source:
                found[name] = Cid.parse(text)
    return found


def _names(rpc: KuboRpc, path: str, deadline: float) -> tuple[list[str], bool]:
    """The names in a folder of a feed, and whether there are more. Raises Unreachable."""
    if (left_s := deadline - time.monotonic()) <= 0:
        raise TooSlow(f"no time is left for {path}: give it more")
    try:
        asked = {"arg": path, **_NAMES_ONLY}
        answer = rpc.read("ls", asked, limit=_LIMIT, timeout_s=left_s)
    except MissingBlock:
        return [], False
    if not answer.startswith(_BEGIN):
        raise Unreachable(f"what answers at {rpc.url} is no RPC of Kubo: correct the address")
    # Not as JSON: an answer that is cut is none, and what it begins with is right all the same.
    found = (name.decode("utf-8", "replace") for name in _NAME.findall(answer))
    names = [name for name in found if name != HEARD]
    return names[:MAX_LISTED], len(answer) > _LIMIT or len(names) > MAX_LISTED
