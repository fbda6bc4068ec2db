"""All contracts of one deployment, as one party reaches them."""

from __future__ import annotations

from chain.access import AccessManager
from chain.agreements import Agreements
from chain.attestations import Attestations
from chain.challenges import Challenges
from chain.client import Client
from chain.consents import Consents
from chain.deploy import Deployment
from chain.escrow import Escrow
from chain.participants import Participants
from chain.rounds import Rounds
from chain.studies import Studies
from chain.token import Token
from chain.types import Address


class Contracts:
    """Typed wrappers over one client; `client` is the one path of writing."""

    def __init__(self, client: Client, deployment: Deployment) -> None:
        self.client = client
        self.deployment = deployment
        at, born = deployment.address_of, deployment.block
        self.participants = Participants(client, at("Participants"), born)
        self.studies = Studies(client, at("Studies"), born)
        self.agreements = Agreements(client, at("Agreements"), born)
        self.consents = Consents(client, at("Consents"), born)
        self.rounds = Rounds(client, at("Rounds"), born)
        self.challenges = Challenges(client, at("Challenges"), born)
        self.escrow = Escrow(client, at("Escrow"), born)
        self.attestations = Attestations(client, at("Attestations"), born)

    @property
    def access(self) -> AccessManager:
        """Who holds back what the operator wants."""
        place = self.deployment.address_of("AccessManager")
        return AccessManager(self.client, place, self.deployment.block)

    def token(self, address: Address) -> Token:
        """The token of a study."""
        return Token(self.client, address, self.deployment.block)
