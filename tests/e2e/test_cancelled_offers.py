"""A patient takes a counter-offer back, and no center takes it up any more."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.cli.main import main
from api.home import PASSPHRASE as PASSPHRASE_VARIABLE
from api.home import HomeRole
from chain.keys import PatientSecret, new_phrase
from chain.typed_data import CounterOffer
from chain.types import NO_ADDRESS, Address, AgreementId, Wei
from federated.center import accept, invite, open_tier, request_study
from federated.center.tiers import TierWish
from federated.counter_offers import offers_for, send_offer
from federated.errors import StepError
from federated.mail import mail_for, post
from federated.mail_calls import call_of, first_of_each
from federated.offers import Cancellation, SignedOffer, cancelled_at, check_offer, sign_offer
from federated.patient import Patient
from federated.relayer import relay
from tests.api.serving import PASSPHRASE, make_home
from tests.e2e import kit
from tests.e2e.kit import World

pytestmark = pytest.mark.engine("anvil")

LATER = 30 * kit.DAY


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A study with one tier, and nobody asked yet."""
    built = kit.build_world(tmp_path_factory.mktemp("cancelled") / "world")
    with built.anvil:
        spec, center = kit.study_spec(built), built.center
        token = built.deployment.address_of("DevelopmentToken")
        mint = center.chain.token(token).mint(center.address, spec.reward.budget_wei)
        center.chain.client.send(mint)
        built.study = request_study(center, spec, token)
        north = built.keys["north"].address
        invite(center, built.study, north)
        until = built.clock.now() + 365 * kit.DAY
        wish = TierWish(north, Wei(kit.TOKEN), kit.PURPOSES, until, 100, "grants")
        built.tiers["north", "grants"] = open_tier(center, built.study, wish, step="north")
        yield built
        built.forget()


def someone(world: World) -> Patient:
    return Patient(PatientSecret(new_phrase()), world.relayer.chain)


def asked(world: World, patient: Patient, expiry: int | None = None) -> SignedOffer:
    """A patient's counter-offer of twice the price."""
    agreement, chain = world.tiers["north", "grants"], world.relayer.chain
    tier = chain.agreements.tier(agreement, block_identifier=world.relayer.head())
    until = world.clock.now() + LATER if expiry is None else expiry
    asked_for = (agreement, Wei(2 * tier.price), tier.purposes, tier.not_after, until)
    return patient.counter(CounterOffer(*asked_for, os.urandom(32)))


def leave(world: World, message: Cancellation, **changes: Any) -> None:
    post(
        world.relayer.store,
        world.relayer.address,
        "cancellation",
        message.body() | changes,
    )


def cancel(world: World, patient: Patient, offer: SignedOffer) -> None:
    leave(world, patient.cancel(offer))
    assert not relay(world.relayer).refused


def check(world: World, offer: SignedOffer, later: int = 0) -> CounterOffer:
    now = world.clock.now() + later
    return check_offer(world.center.chain, offer, now=now, block=world.center.head())


def spent(world: World, act: Callable[[], None]) -> int:
    """Transactions that the relayer sent meanwhile."""
    node, sender = world.relayer.chain.client.node, world.relayer.address
    before = node.nonce(sender, block="pending")
    act()
    return node.nonce(sender, block="pending") - before


def test_a_cancelled_counter_offer_is_taken_up_by_no_center(world: World) -> None:
    patient = someone(world)
    offer = asked(world, patient)
    send_offer(world.center, offer)
    assert offer in offers_for(world.center)
    assert check(world, offer) == offer.terms
    before = world.center.head()
    cancel(world, patient, offer)
    with pytest.raises(StepError, match="was cancelled in block"):
        check(world, offer)
    tiers = world.center.chain.agreements.count(block_identifier=world.center.head())
    with pytest.raises(StepError, match="was cancelled in block"):
        accept(world.center, offer, max_count=20, text="agreed")
    assert world.center.chain.agreements.count(block_identifier=world.center.head()) == tiers
    # As of the block before, both sides saw it stand.
    now = world.clock.now()
    assert check_offer(world.center.chain, offer, now=now, block=before) == offer.terms
    assert cancelled_at(world.center.chain, offer, before) == 0


def test_a_cancelled_offer_that_nobody_had_seen_counts_nowhere(world: World) -> None:
    patient = someone(world)
    offer = asked(world, patient)
    cancel(world, patient, offer)
    send_offer(world.center, offer)
    with pytest.raises(StepError, match="was cancelled in block"):
        accept(world.center, offer, max_count=20, text="agreed")


def test_cancelling_one_offer_leaves_the_patients_others(world: World) -> None:
    patient = someone(world)
    offer, other = asked(world, patient), asked(world, patient)
    cancel(world, patient, offer)
    assert check(world, other) == other.terms


def test_an_offer_counts_until_its_last_second_and_no_longer(world: World) -> None:
    offer = asked(world, someone(world))
    chain, block, last = world.center.chain, world.center.head(), offer.terms.expiry
    assert check_offer(chain, offer, now=last, block=block) == offer.terms
    with pytest.raises(StepError, match="expired"):
        check_offer(chain, offer, now=last + 1, block=block)
    old = asked(world, someone(world), world.clock.now() - 1)
    with pytest.raises(StepError, match="expired"):
        accept(world.center, old, max_count=20, text="agreed")


def test_nobody_else_takes_a_counter_offer_back(world: World) -> None:
    mine, other = someone(world), someone(world)
    offer = asked(world, mine)
    theirs = other.cancel(sign_offer(world.center.chain, offer.terms, _key(other, offer)))
    leave(world, theirs)  # of the same terms, by another key: of another offer
    leave(world, theirs, key=offer.key)
    report = relay(world.relayer)
    assert (report.sent, len(report.refused)) == (1, 1)
    assert "BadSignature" in report.refused[0]
    assert check(world, offer) == offer.terms


def test_copies_of_a_cancellation_cost_the_relayer_nothing(world: World) -> None:
    patient = someone(world)
    offer = asked(world, patient)
    message = patient.cancel(offer)
    assert patient.cancel(offer) == message, "the same message, so the same mail"
    for again in range(4):
        leave(world, message, again=again)
    lower = Address(message.key.lower())
    leave(world, message, key=lower)

    def send() -> None:
        report = relay(world.relayer)
        assert (report.sent, len(report.refused)) == (1, 4)
        assert all("AlreadyCancelled" in line for line in report.refused)

    assert spent(world, send) == 1
    assert spent(world, lambda: _assert_nothing_waits(world)) == 0
    leave(world, message, again="later")
    assert spent(world, lambda: _assert_refused(world, "AlreadyCancelled")) == 0


def test_two_claims_of_one_consent_are_never_sent_in_one_go(world: World) -> None:
    freeze = [1, 1, 0, 1, *(bytes([x]) * 32 for x in (1, 2)), 5, 5, *(bytes(32) for _ in "ab")]
    claim = {
        "freeze": freeze,
        "leaf": [0, b"\x11" * 32, b"\x22" * 32],
        "proof": [b"\x33" * 32],
        "key": NO_ADDRESS,
        "nonce": 0,
        "recipient": NO_ADDRESS,
        "deadline": 7,
        "signature": b"\x44" * 65,
    }
    other = claim | {"leaf": [1, b"\x12" * 32, b"\x22" * 32]}
    bonus = {name: claim[name] for name in ("key", "recipient", "deadline", "signature")}
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("claim", claim),
        ("claim", claim | {"deadline": 8, "freeze": [1, 2, *freeze[2:]]}),
        ("claim", other),
        ("bonus", bonus | {"agreement": 1}),
        ("bonus", bonus | {"agreement": 1, "deadline": 9}),
        ("bonus", bonus | {"agreement": 2}),
    ]
    cids = [post(world.relayer.store, NO_ADDRESS, kind, body) for kind, body in bodies]
    left = {mail.cid: mail for mail in mail_for(world.relayer.store, NO_ADDRESS)}
    mails = [left[cid] for cid in cids]
    both = first_of_each([(mail, call_of(world.relayer.chain, mail)) for mail in mails])
    assert [[mails.index(mail) for mail, _ in part] for part in both] == [[0, 2, 3, 5], [1, 4]]


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "0x12"},
        {"key": 7},
        {"offer": b"\x01" * 33},
        {"offer": "digest"},
        {"deadline": -1},
        {"deadline": 2**64 - 1, "signature": "none"},
        {"signature": [1]},
    ],
    ids=lambda changes: ",".join(changes),
)
def test_mail_that_is_no_cancellation_stands_in_nobodys_way(
    world: World, changes: dict[str, Any]
) -> None:
    patient = someone(world)
    offer = asked(world, patient)
    leave(world, patient.cancel(offer), **changes)
    leave(world, patient.cancel(offer))
    report = relay(world.relayer)
    assert (report.sent, len(report.refused)) == (1, 1)
    assert "not a message of that kind" in report.refused[0]
    assert cancelled_at(world.center.chain, offer, world.center.head())


def test_a_cancellation_that_comes_too_late_costs_nothing(world: World) -> None:
    patient = someone(world)
    offer = asked(world, patient, world.clock.now() - 1)
    leave(world, patient.cancel(offer))
    assert spent(world, lambda: _assert_refused(world, "Expired")) == 0


def test_a_patient_takes_back_only_what_the_own_secret_signed(world: World) -> None:
    patient, other = someone(world), someone(world)
    offer = asked(world, patient)
    dearer = replace(offer, terms=replace(offer.terms, price=Wei(offer.terms.price + 1)))
    for foreign in (asked(world, other), replace(offer, key=asked(world, other).key), dearer):
        with pytest.raises(StepError, match="not signed by your secret"):
            patient.cancel(foreign)
    nowhere = replace(offer, terms=replace(offer.terms, agreement=AgreementId(99)))
    with pytest.raises(StepError, match="agreement 99 does not exist"):
        patient.cancel(nowhere)


def test_an_offer_that_fits_no_contract_hides_none_from_the_center(world: World) -> None:
    offer = asked(world, someone(world))
    for change in ({"price": Wei(-1)}, {"price": Wei(2**256)}, {"salt": b"\1" * 33}):
        send_offer(world.center, replace(offer, terms=replace(offer.terms, **change)))
    send_offer(world.center, offer)
    found = [one for one in offers_for(world.center) if one.key == offer.key]
    assert found == [offer]


# ------------------------------------------------------------------ the commands


@pytest.fixture
def alex(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Alex's `consilium offer …`, in a home that names the relayer."""
    monkeypatch.setenv(PASSPHRASE_VARIABLE, PASSPHRASE)
    monkeypatch.chdir(tmp_path)
    home = ["--home", str(tmp_path / "alex")]
    (tmp_path / "deployment.json").write_text(world.deployment.to_json())
    place = ["--rpc", world.anvil.url, "--store", str(world.folder / "store")]
    who = ["--role", "patient", "--name", "alex", "--deployment", "deployment.json"]
    made = [*home, "participant", "init", *who, *place, "--relayer", world.relayer.address]
    assert main(made) == 0
    assert main([*home, "offer", "counter", "1", "--price", "2", "--out", "offer.json"]) == 0
    return lambda *words: main([*home, "offer", *words])


def _center(world: World, *words: str) -> int:
    home = make_home(world, "center", HomeRole.CENTER)
    return main(["--home", str(home.path), "offer", *words])


def test_the_command_takes_an_offer_back_and_says_when_it_was(
    world: World, alex: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert alex("cancel", "offer.json") == 0
    assert alex("cancel", "offer.json") == 0
    assert "waits for" in capsys.readouterr().out
    assert relay(world.relayer).sent == 1, "asked for twice, it is one message"
    assert alex("cancel", "offer.json") == 0
    assert "it was cancelled in block" in capsys.readouterr().out
    assert _center(world, "accept", "offer.json", "--max-count", "20") == 1
    assert "was cancelled in block" in capsys.readouterr().err


def test_the_centers_inbox_passes_a_cancelled_offer_over(
    world: World, alex: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    offer = SignedOffer.from_json(Path("offer.json").read_text())
    send_offer(world.center, offer)
    assert _center(world, "inbox", "--out", "before") == 0
    kept = [json.loads(path.read_text())["key"] for path in Path("before").iterdir()]
    assert offer.key in kept
    assert alex("cancel", "offer.json") == 0
    relay(world.relayer)
    capsys.readouterr()
    assert _center(world, "inbox", "--out", "after") == 0
    assert "was cancelled in block" in capsys.readouterr().err
    kept = [json.loads(path.read_text())["key"] for path in Path("after").iterdir()]
    assert offer.key not in kept


def test_the_offers_own_key_takes_it_back_with_its_coins(
    world: World, alex: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    offer = SignedOffer.from_json(Path("offer.json").read_text())
    world.anvil.fund(offer.key, kit.COINS)
    assert alex("cancel", "offer.json", "--direct") == 0
    assert "cancelled in block" in capsys.readouterr().out
    assert cancelled_at(world.center.chain, offer, world.center.head())


def test_the_command_says_what_is_wrong_with_what_it_was_given(
    world: World, alex: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("junk.json").write_text("[" * 50_000)
    Path("foreign.json").write_text(asked(world, someone(world)).to_json())
    tree = json.loads(Path("offer.json").read_text())
    tree["terms"]["salt"] = tree["terms"]["salt"][2:]
    Path("short.json").write_text(json.dumps(tree))
    alexs = Patient(PatientSecret(Path("alex/phrase.txt").read_text().strip()), world.center.chain)
    Path("old.json").write_text(asked(world, alexs, world.clock.now() - 1).to_json())
    for words, said in (
        (("cancel", "missing.json"), "missing.json"),
        (("cancel", "junk.json"), "not a counter-offer"),
        (("cancel", "foreign.json"), "not signed by your secret"),
        (("cancel", "short.json"), "not a counter-offer"),
        (("cancel", "old.json"), "expired"),
        (("cancel", "offer.json", "--relayer", "nobody"), "nobody"),
    ):
        assert alex(*words) == 1, words
        shown = capsys.readouterr()
        assert said in shown.err
        assert "Traceback" not in shown.out + shown.err
    assert relay(world.relayer).sent == 0
    assert _center(world, "cancel", "offer.json") == 1
    assert "patient" in capsys.readouterr().err


def _key(patient: Patient, offer: SignedOffer) -> bytes:
    return patient.key_for(offer.terms.agreement)


def _assert_nothing_waits(world: World) -> None:
    report = relay(world.relayer)
    assert (report.sent, report.refused) == (0, [])


def _assert_refused(world: World, error: str) -> None:
    report = relay(world.relayer)
    assert report.sent == 0
    assert [error in line for line in report.refused] == [True]
