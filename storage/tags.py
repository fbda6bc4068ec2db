"""Domain separation: every hashed, signed, derived or authenticated byte string begins with a tag.

What follows a tag has a fixed length, and no tag is a prefix of another, so that no byte string
made for one use can be presented for another. docs/artefact.md specifies each.
"""

from typing import Final

MANIFEST: Final = "consilium/manifest/1"
ENVELOPE: Final = "consilium/envelope/1"
TOMBSTONE: Final = "consilium/tombstone/1"
PAYLOAD_KEY: Final = b"consilium/payload-key/1"
KEY_COMMITMENT: Final = b"consilium/key-commitment/1"
SEGMENT: Final = b"consilium/segment/1"
COMMITMENT: Final = b"consilium/plaintext-commitment/1"
WRAP: Final = b"consilium/wrap/1"
PRIVATE_KEY: Final = "consilium/private-key/1"
OWN_FILE: Final = b"consilium/own-file/1"
INVITATION: Final = b"consilium/invitation/1"
INDEX: Final = "consilium/index/1"
INDEX_KEY: Final = b"consilium/index-key/1"
INDEX_KEY_ID: Final = b"consilium/index-key-id/1"
KEYWORD: Final = b"consilium/keyword/1"
