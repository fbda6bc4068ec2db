"""An error in one line of words: what, where, what to do; no capital, no period, no value."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from api.errors import FULL, ApiError
from chain.errors import ChainError, TxReverted
from federated.errors import FederatedError
from records.errors import RecordsError
from storage.errors import StorageError

FORESEEN = (ApiError, ChainError, FederatedError, RecordsError, StorageError)

_REFUSALS: Mapping[str, str] = {
    "UnknownStudy": "study {study} does not exist on this chain; `consilium study show` lists them",
    "UnknownRound": "study {study} has no round {round} yet; wait until the center opens it",
    "UnknownAgreement": "agreement {agreement} does not exist; `consilium offer list` shows them",
    "WrongPhase": "study {study}: round {round} is in another phase; `consilium study show {study}`"
    " tells which",
    "NotTheCenter": "{account} is not the center of this study; use the home of its center",
    "NotTheHospital": "{account} is not the hospital of this agreement; use that hospital's home",
    "NotAnAuditor": "{account} is not an auditor, or none whom the study names; ask the operator, "
    "or use the home of one",
    "AlreadyVoted": "{auditor} has voted on this already; the other auditors' votes are awaited",
    "NotRestorable": "nothing to restore: hospital {index} was not left out of this finalized "
    "round, was voided, or is restored already",
    "NoRoot": "study {study}: its center posted no root of shares that stands",
    "AccessManagedUnauthorized": "{caller} is not the operator; use the operator's home",
    "NotAParticipant": "{account} was never admitted; ask the operator",
    "AlreadyAdmitted": "{account} was admitted already, which is what you want",
    "WrongRole": "{account} does not have the role that this needs; ask the operator",
    "NotInvited": "{hospital} is not invited to this study; ask the center",
    "AlreadyEnrolled": "{hospital} takes part already",
    "NotEnrolled": "{hospital} does not take part in this study; `consilium hospital join` first",
    "NotInRound": "{hospital} does not take part in this round; it joins in the next",
    "TooFewHospitals": "{have} hospitals take part, at least {need} are needed: invite more",
    "TooFewSubmissions": "{have} submissions count, at least {need} are needed: wait until "
    "submitBy, or open another round",
    "RoundTooLate": "the study ends before one more round can; settle it",
    "TooManyRounds": "study {study} has had all its rounds; settle it",
    "RoundLive": "study {study}: round {round} is not over; finalize it first",
    "BadCohort": "the cohort is empty, or its weight exceeds it",
    "BadTerms": "the chain refuses the study's terms: {rule}",
    "WrongSpec": "the spec read here is not the study's; read it again",
    "StudyEnded": "study {study} has ended",
    "StudyFull": "study {study} has all its hospitals",
    "EmptyTier": "a tier needs a person, a purpose, and an end in the future",
    "AlreadyClosed": "agreement {agreement} is closed already",
    "NotAdmitted": "the hospital's admission to agreement {agreement} is missing or expired",
    "NoMoney": "study {study} needs {need} more of its token and has {have}: fund it",
    "BadSignature": "the signature is not of the key that it is for, or for another chain: sign "
    "again",
    "Expired": "the message expired; sign again",
    "RoundDoesNotPay": "study {study}: round {round} does not pay yet, or this hospital did not "
    "submit in it",
    "AlreadyPaid": "it was paid already",
    "NothingToPay": "nothing is due",
    "TooEarly": "not before second {from_} of the chain's time; wait",
    "TooLate": "too late: the chain's time has passed the end of this period",
    "WrongRule": "this study pays its hospitals by another rule",
    "VoidedHospital": "this hospital's update was voided; it gets no share",
    "DemandOpen": "a demand against this hospital is open; answer it first",
    "NoGround": "nothing is wrong with this leaf; the challenge would fail",
    "WrongProof": "the leaf does not stand under the frozen root",
    "WrongFreeze": "that is not what the hospital froze on-chain",
    "AlreadyVoided": "this hospital's update in this round is voided already",
    "ChallengesClosed": "the time for challenges is over",
    "TooManyDemands": "this hospital has {max} open demands already; wait for answers",
    "DemandExists": "this leaf was demanded already",
    "NoDemand": "nobody demanded this leaf",
    "Unsound": "this leaf could be challenged, so it is not paid",
    "WrongKey": "the key is not the one behind this consent",
    "ERC20InsufficientBalance": "{sender} has {balance} of the token and needs {needed}: get more "
    "with `consilium participant fund`, or from whoever issues it",
    "ERC20InsufficientAllowance": "{spender} may take {allowance} of the token and needs {needed}",
}


def sentence(exc: BaseException) -> str:
    """The error in words. Of an unforeseen one only its kind and place: its text may hold a value.

    Long enough to act on, and always one line.
    """
    if isinstance(exc, TxReverted):
        return _refusal(exc)
    if isinstance(exc, FORESEEN):
        return _line(str(exc))
    frames = traceback.extract_tb(exc.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
    if isinstance(exc, OSError) and (exc.filename or exc.errno in FULL):
        return _of_files(exc, where)
    return (
        f"unforeseen {type(exc).__name__} at {where}: run the command again with --debug, and "
        "report what it shows after reading it for values of patients"
    )


def _of_files(exc: OSError, where: str) -> str:
    advice = (
        "free some space, then run the command again" if exc.errno in FULL else "check the path"
    )
    return f"{exc.filename or where}: {(exc.strerror or 'failed').lower()}; {advice}"


def _refusal(exc: TxReverted) -> str:
    words = _REFUSALS.get(exc.name)
    if words is None:
        return _line(str(exc))
    values = {key.replace("from", "from_"): _plain(value) for key, value in exc.arguments.items()}
    try:
        return f"{words.format(**values)} ({exc.name})"
    except (KeyError, IndexError):
        return _line(str(exc))


def _plain(value: Any) -> Any:
    return "0x" + value.hex() if isinstance(value, bytes) else value


def _line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
