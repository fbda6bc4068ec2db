"""Blocks in a folder: the store that needs no daemon. Several processes may share the folder.

blocks/<2 hex>/<digest hex>    one file a block, keyed by digest whatever the codec, as in Kubo
pins/<cid>                     empty files
topics/<digest hex>/<cid>      empty files
tmp/                           what is being written; nothing reads it
"""

import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.cid import DIGEST_SIZE, Cid, Codec
from storage.cores import cores, on_all_cores
from storage.errors import MalformedCid, MissingBlock, Unreachable
from storage.files import make_folder, sync_folder, write_new
from storage.store import (
    MAX_BLOCK_SIZE,
    TakeLeaf,
    check_block_size,
    links,
    put_into,
    verify,
)
from storage.unixfs import Readable, export_file, import_file

_MARKER = "consilium-store-1"
_NEW = "tmp"
_ABANDONED_AFTER_S = 24 * 3600
_SYNCS_AT_ONCE = 8  # a disk joins those that wait; more gain nothing


class EmbeddedStore:
    """A `BlockStore` on a local or shared file system. Writes are atomic and durable.

    Not `durable`, they are atomic for other processes alone, as an IPFS node's are: what a loss of
    power cut short is reported as corrupt, and written again heals.
    """

    def __init__(self, path: Path | str, *, durable: bool = True) -> None:
        """Open an existing store. Raises Unreachable where there is none."""
        self.path = Path(path)
        self.durable = durable
        self._root = str(self.path)  # joined as text: a Path for each block takes longer than it
        self._marker = f"{self._root}/{_MARKER}"
        self._check_present()

    @classmethod
    def create(cls, path: Path | str, *, durable: bool = True) -> "EmbeddedStore":
        """Make the store's folders where they are missing, then open it. Idempotent."""
        root = Path(path)
        with _reported(root):
            for name in ("blocks", "pins", "topics", _NEW):
                (root / name).mkdir(parents=True, exist_ok=True)
            (root / _MARKER).touch()
            _drop_abandoned(root / _NEW)
        return cls(root, durable=durable)

    def put_block(self, codec: Codec, block: bytes) -> Cid:
        """See BlockStore. A block that is there but corrupt is replaced."""
        cid = Cid.of(codec, block)
        self._write(cid, block)
        return cid

    def put_pinned(self, codec: Codec, block: bytes) -> Cid:
        """See BlockStore. Here a pin looks no further than names."""
        cid = self.put_block(codec, block)
        self.pin(cid)
        return cid

    def get_block(self, cid: Cid) -> bytes:
        """See BlockStore."""
        self._check_present()
        with _reported(self.path):
            try:
                with open(self._block_path(cid), "rb", buffering=0) as file:  # noqa: PTH123
                    block = file.read()
            except FileNotFoundError:
                raise self._missing(cid) from None
        return verify(cid, block, self._root)

    def each_leaf(self, file: Cid, leaves: Sequence[Cid], take: TakeLeaf) -> None:
        """See BlockStore."""

        def work(numbered: Iterator[tuple[int, Cid]]) -> None:
            buffer = memoryview(bytearray(MAX_BLOCK_SIZE))
            for number, leaf in numbered:
                take(number, self.get_block_into(leaf, buffer))

        on_all_cores(work, enumerate(leaves))

    def get_block_into(self, cid: Cid, buffer: memoryview) -> memoryview:
        """As `get_block`, into a buffer of MAX_BLOCK_SIZE; the part of it that holds the block."""
        self._check_present()
        with _reported(self.path):
            try:
                file = os.open(self._block_path(cid), os.O_RDONLY)
            except FileNotFoundError:
                raise self._missing(cid) from None
            try:
                size = os.readv(file, [buffer, bytearray(1)])
            finally:
                os.close(file)
        if size <= len(buffer) and Cid.of(cid.codec, buffer[:size]) == cid:
            return buffer[:size]
        return put_into(buffer, self.get_block(cid))  # read again, it says what is wrong

    def has(self, cid: Cid) -> bool:
        """See BlockStore."""
        self._check_present()
        with _reported(self.path):
            return os.path.isfile(self._block_path(cid))  # noqa: PTH113

    def add_file(self, stream: Readable) -> Cid:
        """See BlockStore."""
        width = _SYNCS_AT_ONCE if self.durable else cores()
        return import_file(stream, self._write, width=width)

    def cat(self, cid: Cid, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See BlockStore."""
        return export_file(cid, self.get_block, offset, length)

    def pin(self, *cids: Cid) -> None:
        """See BlockStore. Here a pin is a record, which `collect` and `forget` respect."""
        seen, stack = set(cids), list(cids)
        while stack:
            current = stack.pop()
            if not self.has(current):
                raise self._missing(current)
            fresh = set(self._links(current)) - seen
            seen.update(fresh)
            stack.extend(fresh)
        self._touch(self.path / "pins", cids)

    def unpin(self, cid: Cid) -> None:
        """See BlockStore."""
        self._check_present()
        with _reported(self.path):
            (self.path / "pins" / str(cid)).unlink(missing_ok=True)
            self._sync(self.path / "pins")

    def pins(self) -> list[Cid]:
        """See BlockStore."""
        return self._listed(self.path / "pins")

    def own_pins(self) -> list[Cid]:
        """See Node."""
        return self.pins()

    def wanted(self) -> list[Cid]:
        """See Node."""
        return self.pins()

    def forget(self, cids: Iterable[Cid]) -> list[Cid]:
        """Remove blocks; those that stay, for a pin needs them. A block has one name here,
        whatever the codec. Raises MissingBlock, CorruptBlock where what a pin needs is unknown."""
        self._check_present()
        doomed, needed = set(cids), {cid.digest for cid in self._needed()}
        kept = {cid for cid in doomed if cid.digest in needed}
        with _reported(self.path):
            folders = set()
            for cid in doomed - kept:
                path = Path(self._block_path(cid))
                path.unlink(missing_ok=True)
                folders.add(path.parent)
            for folder in folders:
                if folder.is_dir():
                    self._sync(folder)
        return sorted(kept)

    def collect(self, *, min_age_s: float = _ABANDONED_AFTER_S) -> int:
        """Remove every block that no pin needs and nobody wrote for `min_age_s`; how many.

        A writer pins what it wrote within that time: a block that is written again counts as new.
        Raises MissingBlock, CorruptBlock where what a pin needs cannot be told.
        """
        self._check_present()
        oldest = time.time() - min_age_s
        needed = {cid.digest.hex() for cid in self._needed()}
        removed = 0
        with _reported(self.path):
            for path in (self.path / "blocks").glob("*/*"):
                with suppress(FileNotFoundError):  # another process collects, too
                    if path.name not in needed and path.stat().st_mtime < oldest:
                        path.unlink()
                        removed += 1
        return removed

    def _needed(self) -> set[Cid]:
        """Every block below a pin. Raises MissingBlock, CorruptBlock where that is not known."""
        found = set(self.pins())
        stack = list(found)
        while stack:
            fresh = set(self._links(stack.pop())) - found
            found |= fresh
            stack.extend(fresh)
        return found

    def announce(self, topic: bytes, *cids: Cid) -> None:
        """See BlockStore."""
        self._touch(self._topic_path(topic), cids)

    def announced(self, topic: bytes) -> list[Cid]:
        """See BlockStore."""
        return self._listed(self._topic_path(topic))

    def hear(self, topic: bytes) -> None:
        """See BlockStore. There is nobody to wait for."""

    def _write(self, cid: Cid, block: bytes | memoryview) -> None:
        check_block_size(block)
        self._check_present()
        target = self._block_path(cid)
        with _reported(self.path):
            if self._holds(target, block):
                os.utime(target)  # new again, for `collect`
                return
            temporary = f"{self._root}/{_NEW}/{os.getpid()}-{secrets.token_hex(8)}"
            try:
                write_new(temporary, block, durably=self.durable)
                self._rename(temporary, target)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise

    def _holds(self, target: str, block: bytes | memoryview) -> bool:
        try:
            if os.stat(target).st_size != len(block):  # noqa: PTH116
                return False
        except FileNotFoundError:
            return False
        return Path(target).read_bytes() == block

    def _rename(self, temporary: str, target: str) -> None:
        folder = os.path.dirname(target)  # noqa: PTH120
        try:
            os.replace(temporary, target)  # noqa: PTH105
        except FileNotFoundError:
            make_folder(Path(folder), durably=self.durable)
            os.replace(temporary, target)  # noqa: PTH105
        if self.durable:
            sync_folder(folder)

    def _sync(self, folder: Path) -> None:
        if self.durable:
            sync_folder(folder)

    def _links(self, cid: Cid) -> list[Cid]:
        return [] if cid.codec is Codec.RAW else links(cid, self.get_block(cid))

    def _touch(self, folder: Path, cids: Iterable[Cid]) -> None:
        """Names of CIDs in a folder, on the disk when this returns."""
        self._check_present()
        with _reported(self.path):
            make_folder(folder, durably=self.durable)
            fresh = [path for cid in cids if not (path := folder / str(cid)).is_file()]
            for path in fresh:
                path.touch()
            if fresh:
                self._sync(folder)

    def _listed(self, folder: Path) -> list[Cid]:
        self._check_present()
        found: list[Cid] = []
        with _reported(self.path):
            names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        for name in names:
            with suppress(MalformedCid):  # a stray file must not hide the rest of the folder
                found.append(Cid.parse(name))
        return sorted(found)

    def _block_path(self, cid: Cid) -> str:
        name = cid.digest.hex()
        return f"{self._root}/blocks/{name[:2]}/{name}"

    def _topic_path(self, topic: bytes) -> Path:
        if len(topic) != DIGEST_SIZE:
            raise MalformedCid(f"a topic is a digest of 32 bytes, got {len(topic)}")
        return self.path / "topics" / topic.hex()

    def _check_present(self) -> None:
        if not os.path.isfile(self._marker):  # noqa: PTH113
            raise Unreachable(
                f"no block store at {self.path}: mount the folder, correct the path, or create "
                "the store there"
            )

    def _missing(self, cid: Cid) -> MissingBlock:
        return MissingBlock(
            f"{cid} is not in the store at {self.path}: ask the member who made it to pin it "
            "again, or wait until it has arrived"
        )


@contextmanager
def _reported(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise Unreachable(
            f"the block store at {root} failed: {exc.strerror}; free space or correct its "
            "permissions, then try again"
        ) from exc


def _drop_abandoned(folder: Path) -> None:
    """Remove what writers that were killed left behind; a live one is never a day old."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _ABANDONED_AFTER_S:
                path.unlink()
