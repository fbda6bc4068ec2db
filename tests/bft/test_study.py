"""A whole study on four real validators, one of which dies in mid-round: everybody's first node."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from chain.contracts import Contracts
from chain.index import Index
from chain.indexer import Indexer
from chain.node import Node
from chain.types import Wei
from federated.center import finalize, open_round, open_tier
from federated.center.tiers import TierWish
from federated.hospital import freeze, submit, train
from tests.bft.kaia import Network, agree, content
from tests.chain.engines import GivenNode
from tests.chain.kit import Chain
from tests.e2e import kit
from tests.e2e.stores import OneFolder

pytestmark = pytest.mark.timeout(3600)

PEOPLE = 26  # of each hospital; all of them grant
DYING, LIVING = 3, 1


def founded(folder: Path, url: str, operator: Contracts) -> kit.World:
    """Every party admitted, with its keys published; all over the same addresses of nodes."""
    keys = {name: kit.Keys.fresh() for name in ("relayer", *kit.ROLES)}
    engine = cast(Any, GivenNode(url, None, folder))
    world = kit.World(folder, engine, operator.deployment, keys, OneFolder(folder).renew(folder))
    admit = operator.participants.admit
    operator.client.send_many(
        [
            (admit(keys[name].address, role, bytes(32)), f"admit-{keys[name].address}")
            for name, role in kit.ROLES.items()
        ]
    )
    for name in kit.ROLES:
        kit.register(world.party(name))
    return world


def ask(world: kit.World) -> None:
    """One tier a hospital, under which everybody grants; one withdraws again."""
    spec = replace(kit.study_spec(world), rounds=1)
    kit.enrol_all(world, spec, PEOPLE)
    lasts = world.clock.now() + kit.DAY
    for name in kit.HOSPITALS:
        wish = TierWish(
            world.keys[name].address, Wei(kit.TOKEN), kit.PURPOSES, lasts, PEOPLE, "grants"
        )
        world.tiers[name, "grants"] = open_tier(
            world.center, world.study, wish, step=f"tier-{name}"
        )
    kit.ask_all(world)
    kit.revoke(world, world.patients[0])


def test_a_study_loses_and_doubles_nothing_though_everybodys_node_dies_in_mid_round(
    network: Network, chain: Chain, tmp_path: Path
) -> None:
    urls = f"{network.url(DYING)},{network.url(LIVING)}"
    world = founded(tmp_path, urls, chain.operator)
    index = Index(tmp_path / "index.sqlite", world.deployment)
    indexer = Indexer(Node(urls), world.deployment, index)
    ended = threading.Event()

    def follow() -> None:
        while not ended.wait(0.5):
            indexer.catch_up()

    following = threading.Thread(target=follow)
    following.start()
    try:
        ask(world)
        number = open_round(world.center, world.study)
        for name in kit.HOSPITALS:
            freeze(world.node(name), world.study, number)
            train(world.node(name), world.study, number)
        network.kill(DYING)
        for name in kit.HOSPITALS:
            submit(world.node(name), world.study, number)
        finalize(world.center, world.study, number)
        claimed = kit.claim_all(world)
    finally:
        ended.set()
        following.join()
    network.start(DYING)
    assert claimed == 3 * PEOPLE - 1
    found = kit.round_at(world, number)
    assert (found.frozen, found.submitted, found.included, found.voided) == (7, 7, 7, 0)
    kit.assert_sound(world)
    agree(network)
    tip = indexer.catch_up().block
    paid = [row for row in index.rows("claims") if row["study"] == world.study]
    assert [int(row["amount"]) for row in paid] == [kit.TOKEN] * claimed
    other = Index(tmp_path / "other.sqlite", world.deployment)
    again = Indexer(Node(network.url(DYING)), world.deployment, other)
    while again.step(tip).block < tip:
        pass
    assert content(index) == content(other)
    index.close()
    other.close()
    world.forget()
