"""What people write and read: addresses, amounts of a token, moments."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path

from api.errors import ApiError
from chain.types import Address, RoundNumber, StudyId, Wei
from federated.directory import account_named
from federated.metrics import Estimate
from federated.party import Party
from federated.spec import StudySpec
from federated.spec_files import read_json, read_toml
from federated.study import Study, checksummed, read_study

_EXACT = Context(prec=100)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def address(text: str, party: Party | None = None) -> Address:
    """An account: 0x text, a participant.json, or a name that the operator admitted."""
    if re.fullmatch("0x[0-9a-fA-F]{40}", text):
        found = checksummed(text)
        if text[2:].lower() != text[2:] and text != found:
            raise ApiError(f"{text} is mistyped: its checksum does not hold; copy it again")
        return found
    if Path(text).is_file():
        try:
            return checksummed(str(json.loads(Path(text).read_text("utf-8"))["address"]))
        except (ValueError, KeyError, TypeError, RecursionError) as exc:
            raise ApiError(f"{text} is no participant.json: ask for the file again") from exc
    if party is None:
        raise ApiError(f"{text} is neither an address nor a participant.json that exists")
    return account_named(party.chain, party.store, text, party.head())


def amount(text: str, decimals: int) -> Wei:
    """Tokens as "12.5", or smallest units as "12500wei"."""
    try:
        if text.endswith("wei"):
            value = Decimal(text.removesuffix("wei"))
        else:
            value = Decimal(text).scaleb(decimals, _EXACT)
    except InvalidOperation as exc:
        raise ApiError(f"{text!r} is no amount: write 12.5 for tokens, or 12500wei") from exc
    if not value.is_finite() or value < 0 or value != int(value):
        raise ApiError(f"{text!r} is negative, or finer than the token's {decimals} decimals")
    return Wei(int(value))


def tokens(value: int, decimals: int) -> str:
    """Smallest units as people read them, to the last one."""
    text = f"{Decimal(value).scaleb(-decimals, _EXACT):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def moment(text: str, now: int) -> int:
    """A second: "+90d" (s, m, h, d) from now, a date as in 2027-01-31T12:00, or the number."""
    if found := re.fullmatch(r"\+(\d+)([smhd])", text):
        return now + int(found[1]) * _UNITS[found[2]]
    if text.isdecimal():
        return int(text)
    try:
        when = datetime.fromisoformat(text)
    except ValueError as exc:
        raise ApiError(f"{text!r} is no time: write +90d, 2027-01-31, or seconds") from exc
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())


def when(second: int) -> str:
    """A second of the chain as a date, UTC."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M:%S")


def decimals_of(party: Party, study: StudyId) -> int:
    """The decimals of a study's token."""
    block = party.head()
    token = party.chain.studies.terms(study, block_identifier=block).token
    return party.chain.token(token).decimals(block_identifier=block)


def spec_of(path: Path) -> StudySpec:
    """The valid spec of a .toml or .json file. Raises `SpecError`, `ApiError`."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as exc:
        raise ApiError(f"{path} is no text: name the file of a spec, .json or .toml") from exc
    return read_toml(text) if path.suffix == ".toml" else read_json(text)


def study_of(party: Party, number: int | None) -> Study:
    """A study, or the newest. Raises `ApiError` where the chain has none."""
    block = party.head()
    newest = party.chain.studies.count(block_identifier=block)
    if number is None and not newest:
        raise ApiError("this chain has no study yet: a center opens one with `study request`")
    return read_study(party.chain, party.store, StudyId(number or newest), block)


def round_of(party: Party, study: StudyId, number: int | None) -> RoundNumber:
    """A round that exists, or the newest. Raises `ApiError`."""
    newest = party.chain.rounds.count(study, block_identifier=party.head())
    if not newest:
        raise ApiError(f"study {study} has no round yet: its center opens one")
    if number is not None and number > newest:
        raise ApiError(f"study {study} has no round {number}; the newest is {newest}")
    return RoundNumber(number or newest)


def hospital_index(party: Party, study: Study, text: str) -> int:
    """A hospital's index by itself, by address, or by name."""
    if text.isdecimal() and int(text) < len(study.hospitals):
        return int(text)
    return study.index_of(address(text, party))


def names_of(party: Party, accounts: Sequence[Address]) -> list[str]:
    """Each account's name where the operator gave one, else a short address."""
    from federated.directory import name_of

    block = party.head()
    found = [name_of(party.chain, party.store, account, block) for account in accounts]
    return [name or account for name, account in zip(found, accounts, strict=True)]


def figure_text(found: Estimate, step: float) -> str:
    """A figure and its interval, with the decimals that its step has."""
    places = max(0, math.ceil(-math.log10(step)))
    return f"{found.value:.{places}f} ({found.low:.{places}f}–{found.high:.{places}f})"
