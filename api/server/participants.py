"""Who takes part: accounts, roles and names; and where the contracts are."""

from __future__ import annotations

from fastapi import Request, Response
from pydantic import Field

from api.server.paging import LINKED, After, Limit, Page, following, link
from api.server.problems import documented
from api.server.site import TheSite, ask, router
from api.server.text import Account, Answer, BlockNo, Digest, shown, some
from api.server.workers import View
from chain.participants import Admitted
from federated.directory import name_of

routes = router("participants")


class Participant(Answer):
    """An account that the operator admitted."""

    number: int = Field(title="Number", description="In the order of admission, from 1.")
    address: Account = Field(title="Address")
    name: str | None = Field(title="Name", description="The operator's word; for people.")
    role: str = Field(title="Role", description="none: dismissed.", examples=["hospital"])
    signing: Digest | None = Field(title="Signing key", description="Ed25519, now.")
    encryption: Digest | None = Field(
        title="Encryption key", description="sha2-256 of the HPKE public key, now."
    )


class ParticipantPage(Page):
    """Participants in the order of their admission."""

    items: list[Participant] = Field(title="Items")


class DeploymentOfContracts(Answer):
    """The chain and the contracts; messages are signed for this chain id and these addresses."""

    chain_id: int = Field(title="Chain id", description="EIP-155.", examples=[31337])
    genesis: Digest = Field(title="Genesis", description="Hash of block 0.")
    block: BlockNo = Field(title="Block", description="Of the first contract.")
    contracts: dict[str, Account] = Field(title="Contracts", description="Addresses by name.")


@routes.get(
    "/participants",
    summary="List participants",
    responses=LINKED | documented("invalid", "node-unreachable"),
)
async def list_participants(
    site: TheSite, request: Request, response: Response, after: After = 0, limit: Limit = 20
) -> ParticipantPage:
    """Hospitals, centers and auditors. Patients are in no list: they have no account."""
    page = await ask(site, lambda view: _page(view, after, limit))
    link(request, response, page)
    return page


@routes.get("/deployment", summary="Show where the contracts are", responses=documented())
async def show_deployment(site: TheSite) -> DeploymentOfContracts:
    """What a wallet needs to sign: EIP-712 domain name "Consilium", version "1"."""
    found = site.deployment
    return DeploymentOfContracts(
        chain_id=found.chain_id,
        genesis=shown(found.genesis),
        block=found.block,
        contracts=dict(found.addresses),
    )


def _page(view: View, after: int, limit: int) -> ParticipantPage:
    first: dict[str, Admitted] = {}
    for event in view.chain.participants.admitted(to_block=view.block):
        first.setdefault(event.account, event)
    numbered = list(enumerate(first.values(), start=1))[after : after + limit]
    items = [_participant(view, number, event) for number, event in numbered]
    places = [number for number, _ in numbered]
    return ParticipantPage(block=view.block, next=following(places, len(first)), items=items)


def _participant(view: View, number: int, event: Admitted) -> Participant:
    participants, block = view.chain.participants, view.block
    keys = participants.keys_at(event.account, block, block_identifier=block)
    return Participant(
        number=number,
        address=event.account,
        name=name_of(view.chain, view.store, event.account, block),
        role=participants.role_of(event.account, block_identifier=block).name.lower(),
        signing=some(keys.signing),
        encryption=some(keys.encryption),
    )
