"""Purposes of use by their GA4GH Data Use Ontology (DUO) codes, and the bitmaps that contracts see.

A consent covers a study when the study's bitmap is a subset of the tier's. DUO has permissions
(what the data may be used for) and restrictions (what binds whoever uses them), so:

- a permission is a bit that a study needs; a tier that permits more also carries the bits that it
  implies (general research use implies health research, which implies disease research);
- a restriction is held as its *absence*: the bit says "the study is not bound by it", a tier
  without the restriction has the bit. A commercial study (bit set) is then no subset of a tier
  for non-commercial use only (bit clear), and a bound study is covered by either tier.

Codes that need a parameter (a region, a date, an institution) have no bit: they belong in the terms
whose digest a tier carries. DS means the disease that the study's question names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from federated.errors import SpecError


@dataclass(frozen=True, slots=True)
class Permission:
    """A DUO data use permission: its bit, and the permissions that it implies."""

    short: str
    label: str
    bit: int
    implies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Restriction:
    """A DUO data use modifier: the bits that are clear where it binds."""

    short: str
    label: str
    bits: tuple[int, ...]


PERMISSIONS: dict[str, Permission] = {
    "DUO:0000004": Permission("NRES", "no restriction", 0, ("DUO:0000042", "DUO:0000043")),
    "DUO:0000042": Permission("GRU", "general research use", 1, ("DUO:0000006", "DUO:0000011")),
    "DUO:0000006": Permission(
        "HMB", "health or medical or biomedical research", 2, ("DUO:0000007",)
    ),
    "DUO:0000007": Permission("DS", "disease specific research", 3),
    "DUO:0000011": Permission("POA", "population origins or ancestry research only", 4),
    "DUO:0000043": Permission("CC", "clinical care use", 5),
}

RESTRICTIONS: dict[str, Restriction] = {
    "DUO:0000015": Restriction("NMDS", "no general methods research", (16,)),
    "DUO:0000019": Restriction("PUB", "publication required", (17,)),
    "DUO:0000020": Restriction("COL", "collaboration required", (18,)),
    "DUO:0000021": Restriction("IRB", "ethics approval required", (19,)),
    "DUO:0000029": Restriction("RTN", "return to database or resource", (20,)),
    "DUO:0000045": Restriction("NPU", "not for profit organisation use only", (21,)),
    "DUO:0000046": Restriction("NCU", "non-commercial use only", (22,)),
    "DUO:0000018": Restriction("NPUNCU", "not for profit, non commercial use only", (21, 22)),
}


def code(name: str) -> str:
    """The DUO code of a short name such as `HMB`, or of a code itself."""
    shorts = {term.short: known for known, term in PERMISSIONS.items()}
    shorts |= {term.short: known for known, term in RESTRICTIONS.items()}
    if name in shorts.values():
        return name
    if name.upper() in shorts:
        return shorts[name.upper()]
    raise SpecError("purposes", f"unknown purpose {name[:20]!r}; use one of {', '.join(shorts)}")


def study_bitmap(codes: Iterable[str]) -> int:
    """Bits of a study that needs these permissions and binds itself to these restrictions."""
    permissions, restrictions = _split(codes)
    return _bits(permissions) | _unbound(restrictions)


def tier_bitmap(codes: Iterable[str]) -> int:
    """Bits of a tier that grants these permissions, and all they imply, under restrictions."""
    permissions, restrictions = _split(codes)
    granted: set[str] = set()
    while permissions:
        item = permissions.pop()
        granted.add(item)
        permissions.extend(PERMISSIONS[item].implies)
    return _bits(granted) | _unbound(restrictions)


def covers(tier: int, study: int) -> bool:
    """Whether a consent to the tier covers the study: the study's bits are a subset."""
    return study & ~tier == 0


def describe(bitmap: int) -> list[str]:
    """A bitmap in words: what is permitted, then each restriction that binds."""
    words = [term.label for term in PERMISSIONS.values() if bitmap >> term.bit & 1]
    for term in RESTRICTIONS.values():
        if len(term.bits) == 1 and not bitmap >> term.bits[0] & 1:
            words.append(term.label)
    return words


def _split(codes: Iterable[str]) -> tuple[list[str], list[str]]:
    known = [code(item) for item in codes]
    permissions = [item for item in known if item in PERMISSIONS]
    if not permissions:
        raise SpecError("purposes", "no permission is named; add one, for example DUO:0000006")
    return permissions, [item for item in known if item in RESTRICTIONS]


def _bits(permissions: Iterable[str]) -> int:
    return sum(1 << PERMISSIONS[item].bit for item in set(permissions))


def _unbound(restrictions: Iterable[str]) -> int:
    every = {bit for term in RESTRICTIONS.values() for bit in term.bits}
    bound = {bit for item in restrictions for bit in RESTRICTIONS[item].bits}
    return sum(1 << bit for bit in every - bound)
