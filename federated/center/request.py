"""A center requests a model by opening a study, and invites hospitals."""

from __future__ import annotations

from chain.studies import StudyOpened
from chain.types import Address, StudyId
from federated.canonical import digest
from federated.errors import StepError
from federated.party import Party
from federated.rules import check_spec
from federated.spec import StudySpec
from federated.study import checksummed, terms_of
from storage.cid import Codec


def request_study(party: Party, spec: StudySpec, token: Address) -> StudyId:
    """Publish the spec, move the budget into escrow, open the study. Idempotent per spec.

    Raises `SpecError`, and `StepError` where the center lacks the tokens.
    """
    check_spec(spec)
    chain, client = party.chain, party.chain.client
    data = spec.to_bytes()
    step = f"open-{digest(data).hex()}"
    party.store.pin(party.store.put_block(Codec.DAG_CBOR, data))
    record = party.journal.get(step)
    if record is None:
        record = {"opened_at": client.timestamp()}
        party.journal.put(step, record)
    balance = chain.token(token).balance_of(party.address, block_identifier=party.head())
    if balance < spec.reward.budget_wei and "study" not in record:
        raise StepError(
            f"the budget is {spec.reward.budget_wei} of token {token}, and {party.address} has "
            f"{balance}: fund the account first"
        )
    terms = terms_of(spec, token=token, opened_at=record["opened_at"])
    auditors = [checksummed(item.address) for item in spec.auditors]
    budget = spec.reward.budget_wei
    client.send(chain.token(token).approve(chain.escrow.address, budget), step=f"fund-{step}")
    receipt = client.send(chain.studies.open(terms, auditors, budget), step=step)
    study = chain.studies.in_receipt(StudyOpened, receipt)[0].study
    party.journal.put(step, record | {"study": study})
    return study


def invite(party: Party, study: StudyId, hospital: Address) -> None:
    """Let a hospital enrol. Idempotent."""
    chain = party.chain
    if not chain.studies.is_invited(study, hospital, block_identifier=party.head()):
        chain.client.send(chain.studies.invite(study, hospital), step=f"invite-{study}-{hospital}")
