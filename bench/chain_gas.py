"""Gas of what patients and hospitals send, on a chain of its own, by the deployed contracts.

Keys, salts and deadlines are derived from constants, so that a transaction's bytes differ from
run to run by block hashes alone: a figure moves by tens of gas.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.chain_terms import SPEC, STATE, terms
from bench.claims import Claim, Rows, judged
from chain.agreements import TierOpened
from chain.anvil import Anvil
from chain.challenges import Leaf
from chain.client import Client
from chain.clock import Clock
from chain.consent_types import GrantMessage, RevokeMessage, consent_id
from chain.contracts import Contracts
from chain.deploy import MINTABLE, deploy
from chain.keccak import keccak
from chain.keys import address_of
from chain.merkle import MerkleTree, hash_cohort_leaf
from chain.node import Node
from chain.participants import Role
from chain.round_types import Freeze
from chain.studies import StudyOpened, Terms
from chain.typed_data import Domain, Grant, Revoke, compact, sign
from chain.types import AgreementId, Call, ConsentId, RoundNumber, StudyId, Wei

SNAPSHOT = Path(__file__).with_name("gas.json")
GRANTS, REVOCATIONS = 400, 100  # consents in a batch
SMALL, LARGE = 100, 100_000  # patients of a cohort; the larger tree is 17 deep
HOSPITALS = 3
CLAIMANTS = 12  # of whom three claim: a tree of 100,000 is 17 deep for two leaves in three
FOREVER = 2**39
LIMITS = {
    "gas_grant": 37_000,
    "gas_revoke": 17_000,
    "gas_freeze": 80_000,
    "gas_submit": 62_000,
    "gas_claim_fresh": 105_000,
    "gas_claim": 88_000,
}
GROWTH = 1.02
PRICE = Wei(5)
_COINS = 10**20


@dataclass(frozen=True)
class Gas:
    """What a run found: gas of each transaction, and the round's growth with its patients."""

    figures: dict[str, float]
    growth: float


def run(quick: bool) -> Iterator[Claim | Rows]:
    """The claims of gas; a quick run takes smaller batches and a tree of 100 leaves."""
    found = measure(GRANTS // 10, REVOCATIONS // 10, SMALL) if quick else measure()
    for name, limit in LIMITS.items():
        value = found.figures[name]
        yield judged(name, value, limit, "gas", value, "<=", limit, judge=not quick)
    rest = found.figures
    grown = rest["round_large"], rest["round_small"]
    yield judged("round_growth", *grown, "gas", found.growth, "<=", GROWTH, judge=not quick)
    lines = tuple((name, f"{value:,.0f}") for name, value in rest.items())
    yield Rows("gas of single transactions, or for each consent of a batch", ("what", "gas"), lines)


def snapshot() -> dict[str, float]:
    """The committed figures."""
    found: dict[str, float] = json.loads(SNAPSHOT.read_text("utf-8"))
    return found


def measure(grants: int = GRANTS, revocations: int = REVOCATIONS, large: int = LARGE) -> Gas:
    """Runs a study for each size of cohort and notes what its transactions cost."""
    with tempfile.TemporaryDirectory() as folder, Anvil() as anvil:
        desk = _Desk(anvil, Path(folder))
        figures = desk.consents(grants, revocations)
        small = desk.round(SMALL)
        figures |= {name: cost for name, cost in desk.round(large).items() if name != "round"}
        figures |= {"round_small": small["round"], "round_large": desk.largest}
    return Gas(figures, figures["round_large"] / figures["round_small"])


class _Desk:
    """The parties of one deployment, and the gas of what they send."""

    def __init__(self, anvil: Anvil, folder: Path) -> None:
        self.anvil, self.folder, self.largest = anvil, folder, 0.0
        operator = self._client("operator")
        self.deployment = deploy(operator, token=True)
        self.operator = Contracts(operator, self.deployment)
        self.center = self._party("center", Role.CENTER)
        names = [f"hospital {number}" for number in range(HOSPITALS)]
        self.hospitals = [self._party(name, Role.HOSPITAL) for name in names]
        self.auditor = self._party("auditor", Role.AUDITOR)

    # ------------------------------------------------------------ what is measured

    def consents(self, grants: int, revocations: int) -> dict[str, float]:
        """Gas for each consent of a batch by signature, granted and revoked."""
        study = self._study()
        hospital = self.hospitals[0]
        tier = self._tier(study, hospital)
        keys = [_key(f"patient {number}") for number in range(grants)]
        granted = self._grant(hospital, study, tier, keys)
        revoked = self._revoke(hospital, tier, keys[:revocations])
        return {"gas_grant": granted / grants, "gas_revoke": revoked / revocations}

    def round(self, patients: int) -> dict[str, float]:
        """One round with cohorts of a size: the dearest hospital counts, then patients' claims."""
        study = self._study()
        keys = [_key(f"claimant {number}") for number in range(CLAIMANTS)]
        tier = self._tier(study, self.hospitals[0])
        self._grant(self.hospitals[0], study, tier, keys)
        number = self._open_round(study)
        ids = [consent_id(address_of(key), tier) for key in keys]
        leaves = _leaves(ids, patients)
        tree = MerkleTree([hash_cohort_leaf(leaf) for leaf in leaves])
        freezes = [self._freeze(study, number, i, tree.root, patients) for i in range(HOSPITALS)]
        froze = [
            self._gas(hospital, hospital.rounds.freeze(freeze))
            for hospital, freeze in zip(self.hospitals, freezes, strict=True)
        ]
        submitted = [self._submit(study, number, hospital) for hospital in self.hospitals]
        everyone = 2**HOSPITALS - 1
        final = self.center.rounds.finalize(study, number, everyone, STATE, b"\4" * 32)
        figures = {
            "gas_freeze": max(froze),
            "gas_submit": max(submitted),
            "finalize_3": self._gas(self.center, final),
        }
        cost = max(map(sum, zip(froze, submitted, strict=True)))
        self.largest = max(self.largest, cost)
        mine = [leaves[place] for place in _places(leaves, ids)]
        proofs = [tree.proof(hash_cohort_leaf(leaf)) for leaf in mine]
        deepest = sorted(zip(mine, proofs, keys, strict=True), key=lambda x: -len(x[1]))
        figures |= self._claims(study, freezes[0], deepest[:3])
        return figures | {"round": cost}

    def _claims(
        self, study: StudyId, freeze: Freeze, claims: Sequence[tuple[Leaf, list[bytes], bytes]]
    ) -> dict[str, float]:
        """The first claim of a study, and what later ones cost by who receives them."""
        fresh, holder = address_of(_key(f"fresh in {study}")), self.center.client.address
        found = {}
        named = (("claim_first", holder), ("gas_claim_fresh", fresh), ("gas_claim", holder))
        for (name, to), (leaf, proof, key) in zip(named, claims, strict=True):
            patient = Contracts(self._client(f"claimant {name}", key), self.deployment)
            found[name] = self._gas(patient, patient.escrow.claim(freeze, leaf, proof, 0, to))
        return found

    # ------------------------------------------------------------ steps

    def _grant(
        self, hospital: Contracts, study: StudyId, tier: AgreementId, keys: Sequence[bytes]
    ) -> float:
        domain = Domain(self.operator.client.chain_id, self.operator.consents.address)
        messages = []
        for key in keys:
            consent = consent_id(address_of(key), tier)
            message = Grant(consent, study, tier, PRICE, 1, FOREVER, 0, FOREVER)
            signed = compact(sign(key, message, domain))
            messages.append(GrantMessage(consent, 0, FOREVER, *signed))
        return self._gas(hospital, hospital.consents.grant_batch(tier, messages))

    def _revoke(self, sender: Contracts, tier: AgreementId, keys: Sequence[bytes]) -> float:
        domain = Domain(self.operator.client.chain_id, self.operator.consents.address)
        messages = []
        for key in keys:
            address = address_of(key)
            signed = compact(sign(key, Revoke(consent_id(address, tier), FOREVER), domain))
            messages.append(RevokeMessage(address, tier, 0, FOREVER, *signed))
        return self._gas(sender, sender.consents.revoke_batch(messages))

    def _freeze(
        self, study: StudyId, number: RoundNumber, index: int, root: bytes, patients: int
    ) -> Freeze:
        client = self.hospitals[index].client
        block = client.block_number()
        digests = client.block_hash(block), root
        return Freeze(
            study, number, index, block, *digests, patients, patients, b"\x08" * 32, bytes(32)
        )

    def _submit(self, study: StudyId, number: RoundNumber, hospital: Contracts) -> float:
        digests = (keccak(text) for text in (b"manifest", b"commitment"))
        return self._gas(hospital, hospital.rounds.submit(study, number, *digests))

    def _open_round(self, study: StudyId) -> RoundNumber:
        self._gas(self.center, self.center.rounds.open(study, RoundNumber(0), STATE))
        return RoundNumber(1)

    def _study(self) -> StudyId:
        """A study whose hospitals have enrolled."""
        center = self.center
        call = center.studies.open(self._terms(), [self.auditor.client.address], Wei(2_000_000))
        receipt = center.client.send(call)
        study = center.studies.in_receipt(StudyOpened, receipt)[0].study
        for hospital in self.hospitals:
            self._gas(center, center.studies.invite(study, hospital.client.address))
            self._gas(hospital, hospital.studies.enrol(study, SPEC))
        return study

    def _tier(self, study: StudyId, hospital: Contracts) -> AgreementId:
        call = self.center.agreements.open_tier(
            study,
            hospital.client.address,
            terms=b"\x33" * 32,
            price=PRICE,
            purposes=1,
            not_after=FOREVER,
            max_count=1_000,
        )
        receipt = self.center.client.send(call)
        return self.center.agreements.in_receipt(TierOpened, receipt)[0].agreement

    def _terms(self) -> Terms:
        return terms(
            Clock(self.operator.client.node).now(),
            self.deployment.address_of(MINTABLE),
            patients=LARGE,
            hospitals=HOSPITALS,
            auditor_quorum=1,
        )

    # ------------------------------------------------------------ parties

    def _party(self, name: str, role: Role) -> Contracts:
        contracts = Contracts(self._client(name), self.deployment)
        client = contracts.client
        admit = self.operator.participants.admit(client.address, role, b"\1" * 32)
        self._gas(self.operator, admit)
        money = contracts.token(self.deployment.address_of(MINTABLE))
        self._gas(contracts, money.mint(client.address, Wei(10**9)))
        self._gas(contracts, money.approve(contracts.escrow.address, Wei(2**256 - 1)))
        return contracts

    def _client(self, name: str, key: bytes = b"") -> Client:
        client = Client(Node(self.anvil.url), key or _key(name), self.folder / f"{name}.sqlite")
        self.anvil.fund(client.address, _COINS)
        return client

    def _gas(self, sender: Contracts, call: Call) -> float:
        return float(sender.client.send(call).gas_used)


def _key(name: str) -> bytes:
    """A key of this bench's own chain, which guards nothing."""
    return keccak(name.encode())


def _leaves(ids: Sequence[ConsentId], count: int) -> list[Leaf]:
    """A cohort in which these ids stand among others that nobody claims for."""
    others = [ConsentId(keccak(b"other" + n.to_bytes(4, "big"))) for n in range(count - len(ids))]
    ordered = sorted([*ids, *others])
    return [Leaf(index, consent, keccak(consent)) for index, consent in enumerate(ordered)]


def _places(leaves: Sequence[Leaf], ids: Sequence[ConsentId]) -> list[int]:
    found = {leaf.id: place for place, leaf in enumerate(leaves)}
    return [found[consent] for consent in ids]


def main() -> None:
    """Measures, and writes the figures to be committed."""
    figures = {name: round(cost) for name, cost in measure().figures.items()}
    SNAPSHOT.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
