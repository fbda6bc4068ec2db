"""What the API tells about a finished study, against the chain and the store themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.server.settings import read_settings
from chain.challenges import Leaf
from chain.merkle import hash_cohort_leaf, verify
from chain.types import RoundNumber
from federated.usage import usage_of
from tests.api.serving import PATIENT, Served, serving
from tests.e2e import kit
from tests.e2e.kit import Asked, Saved

pytestmark = pytest.mark.engine("anvil")


def hexed(data: bytes) -> str:
    return "0x" + data.hex()


def granted(served: Served) -> Asked:
    return next(asked for asked in served.world.patients if asked.will == "grants")


def test_health_asks_nobody(served: Served) -> None:
    assert served.get("/v1/health") == {"status": "ok"}


def test_ready_tells_the_head_and_that_messages_can_be_left(served: Served) -> None:
    found = served.get("/v1/ready")
    assert found["status"] == "ready"
    assert found["block"] == served.world.center.head()
    assert found["relays"] is True


def test_a_study_is_shown_as_chain_and_spec_tell_it(served: Served) -> None:
    study = served.world.read()
    found = served.get("/v1/studies/1")
    assert found["title"] == study.spec.title
    assert found["spec"] == hexed(study.spec_digest)
    assert [item["address"] for item in found["hospitals"]] == list(study.hospitals)
    account = served.world.center.chain.escrow.account(
        study.number, block_identifier=served.world.center.head()
    )
    assert found["money"]["funded"] == str(account.funded)
    assert int(found["money"]["funded"]) > 2**53
    assert served.get("/v1/studies")["items"][0]["study"] == 1


def test_a_spec_is_immutable_under_its_digest(served: Served) -> None:
    first = served.client.get("/v1/studies/1/spec")
    digest = hexed(served.world.read().spec_digest)
    assert first.headers["etag"] == f'"{digest}"'
    assert "immutable" in first.headers["cache-control"]
    assert first.text == served.world.read().spec.to_json()
    for known in (f'"{digest}"', f'"0x00", W/"{digest}"', "*"):
        again = served.client.get("/v1/studies/1/spec", headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    other = served.client.get("/v1/studies/1/spec", headers={"If-None-Match": '"0x00"'})
    assert other.status_code == 200


def test_rounds_cohorts_and_submissions_are_those_of_the_chain(served: Served) -> None:
    rounds = served.get("/v1/studies/1/rounds")["items"]
    assert [(r["round"], r["phase"], r["parent"]) for r in rounds] == [
        (1, "finalized", 0),
        (2, "finalized", 1),
    ]
    assert rounds[1]["start_state"] == rounds[0]["state"]
    cohort = served.get("/v1/studies/1/rounds/1")["cohorts"][0]
    freeze = kit.freeze_of(served.world, 1, "north")
    assert (cohort["root"], cohort["n"]) == (hexed(freeze.root), freeze.n)
    items = served.get("/v1/studies/1/rounds/1/submissions")["items"]
    event = kit.submission_of(served.world, 1, "harbor")
    found = items[served.world.index("harbor")]
    assert found["transaction"] == hexed(event.transaction)
    assert found["included"] is True
    assert found["voided"] is False


def test_a_manifest_is_the_one_that_the_chain_names(served: Served) -> None:
    answer = served.client.get("/v1/studies/1/rounds/2/manifest")
    digest = hexed(kit.round_at(served.world, 2).manifest)
    assert answer.headers["etag"] == f'"{digest}"'
    found = answer.json()
    assert found["digest"] == digest
    assert found["state"] == hexed(kit.state_of(served.world, 2))
    assert [entry["code"] for entry in found["submissions"]] == [None, None, None]
    same = {"If-None-Match": answer.headers["etag"]}
    again = served.client.get("/v1/studies/1/rounds/2/manifest", headers=same)
    assert again.status_code == 304


def test_a_model_leads_back_to_the_beginning_of_its_study(served: Served) -> None:
    state = kit.state_of(served.world, 2)
    found = served.get(f"/v1/models/{hexed(state)}/provenance")
    assert found == served.get(f"/v1/models/{state.hex().upper()}/provenance")
    (origin,) = found["origins"]
    assert (origin["study"], origin["round"]) == (1, 2)
    assert [item["round"] for item in origin["lineage"]] == [2, 1]
    assert origin["lineage"][-1]["start_state"] == served.get("/v1/studies/1")["initial_state"]
    assert origin["contaminated_by"] == []
    assert len(origin["cohorts"]) == 3
    (attestation,) = origin["attestations"]
    assert attestation["verdict"] == "ok"
    assert attestation["named"] is True


def test_where_a_consent_was_used_is_what_the_lists_prove(served: Served) -> None:
    world = served.world
    consent = world.consent_of(granted(served))
    found = served.get(f"/v1/consents/{hexed(consent)}/usage")
    known = usage_of(
        world.center.chain, world.center.store, world.study, [consent], world.center.head()
    )
    assert [(use["round"], use["model"]) for use in found["uses"]] == [
        (use.round_number, hexed(use.model or b"")) for use in known.uses
    ]
    assert found["unknown"] == []
    for use in found["uses"]:
        proof = use["proof"]
        leaf = Leaf(proof["index"], consent, bytes.fromhex(proof["record"][2:]))
        frozen = kit.freeze_of(world, use["round"], "north")
        hashes = [bytes.fromhex(item[2:]) for item in proof["proof"]]
        assert verify(frozen.root, hash_cohort_leaf(leaf), hashes)
        assert proof["freeze"]["root"] == hexed(frozen.root)


def test_a_list_that_nobody_has_is_told_and_hides_nothing_else(served: Served) -> None:
    world = served.world
    asked = next(a for a in world.patients if a.will == "grants" and a.hospital == "valley")
    gone = kit.path_of(world, kit.freeze_of(world, 1, "harbor").leaf_list)
    kept = gone.read_bytes()
    gone.unlink()
    try:
        with serving(world) as fresh:
            found = fresh.get(f"/v1/consents/{world.consent_of(asked).hex()}/usage")
    finally:
        gone.write_bytes(kept)
    assert [(item["round"], item["hospital"]) for item in found["unknown"]] == [
        (1, world.keys["harbor"].address)
    ]
    assert [use["round"] for use in found["uses"]] == [1, 2]


def test_a_claim_is_shown_with_its_price_and_proof(served: Served) -> None:
    consent = served.world.consent_of(granted(served))
    found = served.get(f"/v1/consents/{consent.hex()}/claim")
    assert found["price"] == str(kit.TOKEN)
    assert found["paid"] is False
    assert found["standing"]["freeze"]["round"] == 2


def test_pages_hold_everything_once_and_in_order(served: Served) -> None:
    whole = served.get("/v1/studies/1/tiers?limit=50")
    assert whole["next"] is None
    found, path = [], "/v1/studies/1/tiers?limit=4"
    while path:
        answer = served.client.get(path)
        found += [item["agreement"] for item in answer.json()["items"]]
        path = answer.links.get("next", {}).get("url", "")
    assert found == [item["agreement"] for item in whole["items"]] == list(range(1, 10))


def test_participants_have_roles_keys_and_the_operators_names(served: Served) -> None:
    items = served.get("/v1/participants?limit=50")["items"]
    assert [item["number"] for item in items] == list(range(1, len(items) + 1))
    named = {item["name"]: item for item in items}["relay of this test"]
    assert named["address"] == served.world.relayer.address
    north = next(i for i in items if i["address"] == served.world.keys["north"].address)
    assert north["role"] == "hospital"
    assert north["signing"] == hexed(served.world.keys["north"].signing.public)


def test_the_deployment_is_what_a_wallet_signs_for(served: Served) -> None:
    found = served.get("/v1/deployment")
    assert found["chain_id"] == served.world.deployment.chain_id
    assert found["contracts"]["Consents"] == served.world.deployment.address_of("Consents")


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/v1/studies/2", 404, "no-such-study"),
        (f"/v1/studies/{2**53 - 1}", 404, "no-such-study"),
        ("/v1/studies/0", 422, "invalid"),
        (f"/v1/studies/{2**256}", 422, "invalid"),
        ("/v1/studies/one", 422, "invalid"),
        ("/v1/studies/1/rounds/3", 404, "no-such-round"),
        ("/v1/studies/1/rounds/3/manifest", 404, "no-such-round"),
        (f"/v1/models/{'00' * 32}/provenance", 404, "no-such-model"),
        (f"/v1/consents/{'00' * 32}/usage", 404, "no-such-consent"),
        ("/v1/consents/12/usage", 422, "invalid"),
        ("/v1/studies?limit=1000", 422, "invalid"),
        ("/v1/studies/1/", 404, "no-such-resource"),
        ("/v2/studies", 404, "no-such-resource"),
        ("/docs", 404, "no-such-resource"),
        ("/v1/relay/receipts/bafyrei" + "a" * 52, 404, "no-such-receipt"),
        ("/v1/problems/nothing", 404, "no-such-resource"),
    ],
)
def test_what_is_not_there_is_a_problem_of_its_own_type(
    served: Served, path: str, status: int, kind: str
) -> None:
    answer = served.client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["type"] == f"/v1/problems/{kind}"
    assert found["status"] == status
    assert found["instance"].endswith(answer.headers["x-request-id"])
    assert served.get(found["type"])["title"] == found["title"]


def test_the_log_and_the_metrics_name_routes_and_never_an_id(served: Served) -> None:
    consent = served.world.consent_of(granted(served))
    served.get(f"/v1/consents/{consent.hex()}/usage", headers={"X-Request-Id": "a-request"})
    line = next(item for item in served.lines() if item["request_id"] == "a-request")
    assert line["route"] == "/v1/consents/{consent}/usage"
    assert set(line) == {
        *("event", "level", "timestamp", "method", "route", "status", "ms", "request_id"),
    }
    metrics = served.client.get("/metrics").text
    assert 'route="/v1/consents/{consent}/usage"' in metrics
    assert "consilium_chain_head " in metrics
    for text in (served.log.getvalue(), metrics):
        assert consent.hex() not in text.lower()


def test_a_round_number_beyond_the_study_is_no_chain_error(served: Served) -> None:
    count = served.world.center.chain.rounds.count(
        served.world.study, block_identifier=served.world.center.head()
    )
    assert count == RoundNumber(2)
    assert served.client.get("/v1/studies/1/rounds/257").status_code == 422


def test_who_searches_too_often_is_told_to_wait(served: Served) -> None:
    path = f"/v1/models/{kit.state_of(served.world, 1).hex()}/provenance"
    with serving(served.world, settings=read_settings(read_rate=1, **PATIENT)) as narrow:
        assert narrow.client.get(path).status_code == 200
        answer = narrow.client.get(path)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        assert narrow.client.get("/v1/studies").status_code == 200


def test_a_model_is_shown_as_contaminated_once_a_hospital_of_its_lineage_is_voided(
    finished_study: Saved, tmp_path: Path
) -> None:
    with finished_study.start(tmp_path / "world") as world, serving(world) as served:
        state = kit.state_of(world, 2).hex()
        before = served.get(f"/v1/models/{state}/provenance")
        freeze, challenges = kit.freeze_of(world, 1, "north"), world.auditor.chain.challenges
        world.auditor.chain.client.send(challenges.demand(freeze, 0))
        world.clock.advance(world.read().terms.answer_period + 1)
        world.auditor.chain.client.send(challenges.expire(freeze, 0))
        (origin,) = served.get(f"/v1/models/{state}/provenance")["origins"]
        assert before["origins"][0]["contaminated_by"] == []
        assert origin["contaminated_by"] == [1]
        assert origin["lineage"][1]["voided"] == [world.index("north")]
        assert served.get("/v1/studies/1/rounds/1")["contaminated"] is True
        consent = world.consent_of(next(a for a in world.patients if a.will == "grants"))
        uses = served.get(f"/v1/consents/{consent.hex()}/usage")["uses"]
        assert [(use["round"], use["voided"]) for use in uses] == [(1, True), (2, False)]
