"""dag-pb nodes of UnixFS files, in the one spelling that Kubo writes.

https://ipld.io/specs/codecs/dag-pb/spec/ and https://specs.ipfs.tech/unixfs/
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from storage.cid import Cid, Codec
from storage.errors import MalformedBlock, MalformedCid

_FILE = 2  # UnixFS DataType


@dataclass(frozen=True, slots=True)
class Link:
    """One child: its CID, the bytes of file under it, and the bytes of its whole DAG."""

    cid: Cid
    file_size: int
    dag_size: int


def encode_node(links: Sequence[Link]) -> bytes:
    """The dag-pb block of one inner node."""
    unixfs = _field(1, _FILE) + _field(3, sum(link.file_size for link in links))
    unixfs += b"".join(_field(4, link.file_size) for link in links)
    pb_links = (
        _bytes_field(1, bytes(link.cid)) + _bytes_field(2, b"") + _field(3, link.dag_size)
        for link in links
    )
    return b"".join(_bytes_field(2, link) for link in pb_links) + _bytes_field(1, unixfs)


def decode_node(cid: Cid, block: bytes) -> list[Link]:
    """The links of an inner node of a file.

    Strict: what is not byte for byte the spelling of `encode_node` raises MalformedBlock.
    """
    if cid.codec is not Codec.DAG_PB:
        raise MalformedBlock(f"{cid} is a record, not a file: read it with get_block")
    try:
        fields = list(_fields(block))
        sizes = [value for tag, value in _fields(_as_bytes(fields[-1][1])) if tag == 4]
        children = [list(_fields(_as_bytes(value))) for tag, value in fields if tag == 2]
        links = [
            Link(Cid.from_bytes(_as_bytes(child[0][1])), _as_int(size), _as_int(child[2][1]))
            for child, size in zip(children, sizes, strict=True)
        ]
        canonical = bool(links) and encode_node(links) == block
    except (IndexError, ValueError, MalformedCid) as exc:
        raise _not_a_file(cid) from exc
    if not canonical:
        raise _not_a_file(cid)
    return links


def _not_a_file(cid: Cid) -> MalformedBlock:
    return MalformedBlock(
        f"{cid} is not a file node of the profile unixfs-v1-2025: import the file again with it"
    )


# Protocol buffers, as much as dag-pb uses: varints (wire type 0) and byte strings (wire type 2).


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _bytes_field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    position = 0
    while position < len(data):
        key, position = _read_varint(data, position)
        value, position = _read_varint(data, position)
        if key & 7 == 0:
            yield key >> 3, value
        elif key & 7 == 2 and position + value <= len(data):
            yield key >> 3, data[position : position + value]
            position += value
        else:
            raise ValueError("wire type or length")


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
    raise ValueError("varint over 64 bits")


def _as_bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("an integer where bytes belong")
    return value


def _as_int(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise ValueError("bytes where an integer belongs")
    return value
