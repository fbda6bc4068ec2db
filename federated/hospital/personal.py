"""The hospital's own model of a study as it lies in the home: sealed to the hospital, one file.

It names the study, the round and the state that it started from, and the consents that it saw, so
that a withdrawal since is noticed before it is used again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chain.types import StudyId
from federated.bedside.choose import Judged, Kind
from federated.canonical import decode, encode, tagged_hash
from federated.errors import FederatedError, JournalDamaged
from federated.models import parameter_schema
from federated.party import Party
from federated.schema import Parameters
from federated.spec import StudySpec
from federated.study import Study
from federated.tensors import decode_tensors, encode_tensors
from storage.own_file import read_own, write_own

_FORMAT = "consilium/personal/1"


@dataclass(frozen=True, slots=True)
class Personal:
    """What was kept, from which round's model, and how it was chosen.

    `parameters` are those in use, also where the global model is kept. `trained` and `validated`
    are consent ids (32 bytes): whose records it learned from, and who judged it.
    """

    round_number: int
    state: bytes
    block: int
    kept: Kind
    why: str
    judged: tuple[Judged, ...]
    trained: tuple[bytes, ...]
    validated: tuple[bytes, ...]
    parameters: Parameters


def write_personal(folder: Path, party: Party, study: Study, personal: Personal) -> Path:
    """Seal and replace the study's file, durably; returns its path."""
    schema = parameter_schema(study.spec)
    content = {
        "format": _FORMAT,
        "round": personal.round_number,
        "state": personal.state,
        "block": personal.block,
        "kept": personal.kept.value,
        "why": personal.why,
        "judged": [[x.kind.value, x.loss, x.lead, x.error] for x in personal.judged],
        "trained": list(personal.trained),
        "validated": list(personal.validated),
        "parameters": encode_tensors(personal.parameters, schema),
    }
    path = path_of(folder, study.number)
    write_own(path, encode(content), party.identity, _context(party, study))
    return path


def read_personal(folder: Path, party: Party, study: Study) -> Personal | None:
    """What was kept for a study; None where nothing was.

    Raises the store's errors for a file that does not open, `JournalDamaged` for one whose content
    is none.
    """
    path = path_of(folder, study.number)
    data = read_own(path, party.identity, _context(party, study))
    if data is None:
        return None
    try:
        return _decoded(data, study.spec)
    except (FederatedError, KeyError, TypeError, ValueError) as exc:
        raise JournalDamaged(
            f"{path}: not a personal model of this version; run `consilium hospital personalise "
            f"{study.number}` again"
        ) from exc


def path_of(folder: Path, number: StudyId) -> Path:
    """Where a study's personal model lies."""
    return folder / f"study-{number}.sealed"


def _decoded(data: bytes, spec: StudySpec) -> Personal:
    tree = decode(data)
    if tree["format"] != _FORMAT:
        raise ValueError("format")
    return Personal(
        round_number=tree["round"],
        state=tree["state"],
        block=tree["block"],
        kept=Kind(tree["kept"]),
        why=tree["why"],
        judged=tuple(Judged(Kind(kind), *numbers) for kind, *numbers in tree["judged"]),
        trained=tuple(tree["trained"]),
        validated=tuple(tree["validated"]),
        parameters=decode_tensors(tree["parameters"], parameter_schema(spec)),
    )


def _context(party: Party, study: Study) -> bytes:
    """Binds the file to one study of one chain (32 bytes)."""
    place = bytes.fromhex(party.chain.rounds.address.removeprefix("0x"))
    return tagged_hash(
        "consilium/personal-context/1", party.chain.client.chain_id, place, study.number
    )
