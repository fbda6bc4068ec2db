"""What an audit found: named results, each with the round and the hospital that it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from chain.attestations import Level
from chain.errors import ChainError, NodeDown
from federated.canonical import encode
from federated.errors import FederatedError
from storage.errors import (
    MissingBlock,
    StorageError,
    Unanswered,
    Unreachable,
    caused_by,
    told_in_full,
)

__all__ = ["Check", "Checks", "Level", "Outcome", "Place", "Verdict"]


_FORESEEN = (FederatedError, StorageError, ChainError)


class Outcome(StrEnum):
    """What all checks of a level come to."""

    OK = "ok"
    ERASED = "erased"
    INCOMPLETE = "incomplete"
    TAMPERED = "tampered"


@dataclass(frozen=True, slots=True)
class Check:
    """One result. `round_number` and `hospital` (an index) are None where it is about neither.

    A `detail` with `ok` is a note. `erased`: it could not be made, for what it needs is gone by a
    lawful tombstone of whoever sealed it. `unanswered`: it could not be made now, for members did
    not answer who may have what it needs. Such a check neither holds nor speaks against anybody.
    """

    name: str
    ok: bool
    round_number: int | None = None
    hospital: int | None = None
    detail: str = ""
    erased: bool = False
    unanswered: bool = False

    def to_json(self) -> dict[str, Any]:
        """As reports and `--json` show it."""
        return {
            "name": self.name,
            "ok": self.ok,
            "erased": self.erased,
            "unanswered": self.unanswered,
            "round": self.round_number,
            "hospital": self.hospital,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """All results of one replay up to a block, at the level that ran."""

    study: int
    block: int
    level: Level
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether all checks of the level hold."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    @property
    def outcome(self) -> Outcome:
        """`tampered` where anything speaks against the study, `incomplete` where a later audit may
        check more, `erased` where none can."""
        if self.ok:
            return Outcome.OK
        if not self.failures or any(not (x.erased or x.unanswered) for x in self.failures):
            return Outcome.TAMPERED
        later = any(check.unanswered for check in self.failures)
        return Outcome.INCOMPLETE if later else Outcome.ERASED

    @property
    def notes(self) -> list[Check]:
        """What holds, and what a reader should know all the same."""
        return [check for check in self.checks if check.ok and check.detail]

    @property
    def failures(self) -> list[Check]:
        """What did not hold."""
        return [check for check in self.checks if not check.ok]

    def to_json(self) -> dict[str, Any]:
        """As `--json` shows it."""
        return {
            "study": self.study,
            "block": self.block,
            "level": self.level.name.lower(),
            "ok": self.ok,
            "outcome": self.outcome.value,
            "checks": [check.to_json() for check in self.checks],
        }

    def to_bytes(self) -> bytes:
        """Canonical bytes of the report that an attestation names by digest."""
        return encode({"format": "consilium/audit/3", **self.to_json()})


@dataclass(frozen=True, slots=True)
class Place:
    """What a result is about: a round, a hospital's index in it, or neither."""

    round_number: int | None = None
    hospital: int | None = None


NOWHERE = Place()


@dataclass(slots=True)
class Checks:
    """Collects results; a foreseen error inside `guarded` is a result, not a crash."""

    found: list[Check] = field(default_factory=list)

    def add(self, name: str, ok: bool, detail: str = "", at: Place = NOWHERE) -> bool:
        """Record a result; `detail` is kept where it failed."""
        self.found.append(Check(name, ok, at.round_number, at.hospital, "" if ok else detail))
        return ok

    def cannot(self, name: str, detail: str, at: Place = NOWHERE) -> None:
        """Record a check for which members did not answer who may have what it needs."""
        self.found.append(Check(name, False, at.round_number, at.hospital, detail, unanswered=True))

    def note(self, name: str, detail: str, at: Place = NOWHERE) -> None:
        """Record what a reader should know and what proves nothing wrong: it holds."""
        self.found.append(Check(name, True, at.round_number, at.hospital, detail))

    @contextmanager
    def guarded(
        self, name: str, at: Place = NOWHERE, excuse: Callable[[], str] | None = None
    ) -> Iterator[None]:
        """Errors about what was fetched fail this check; an unreachable store or node raises.

        Where a block is missing, `excuse` says by whose tombstone, or nothing. Where members did
        not answer, neither it nor its absence is known.
        """
        try:
            yield
        except (Unreachable, NodeDown):
            raise
        except _FORESEEN as exc:
            self.found.append(
                _judged(Check(name, False, at.round_number, at.hospital), exc, excuse)
            )


def _judged(check: Check, exc: Exception, excuse: Callable[[], str] | None) -> Check:
    """What an error that a check met says of it."""
    silent, said, detail = caused_by(exc, Unanswered) is not None, "", told_in_full(exc)
    if excuse is not None and caused_by(exc, MissingBlock):
        try:
            said = excuse()
        except (Unreachable, NodeDown):
            raise
        except Unanswered as unheard:
            return replace(check, detail=str(unheard), unanswered=True)
        except _FORESEEN as failed:  # of the study's evidence, too: a result, and no audit's end
            silent = silent or caused_by(failed, Unanswered) is not None
            detail = f"{detail}; whether it was erased cannot be told: {told_in_full(failed)}"
    if said:
        return replace(check, detail=said, erased=True)
    return replace(check, detail=detail, unanswered=silent)
