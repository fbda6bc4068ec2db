"""A home belongs to one participant and one deployment, and its keys to one passphrase."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from api.errors import HomeError
from api.home import Home, HomeConfig, HomeRole
from chain.deploy import WIRING, Deployment
from chain.errors import BadKey
from chain.types import Address, BlockNumber

CONFIG = HomeConfig(HomeRole.HOSPITAL, "north", "http://127.0.0.1:1", "/nowhere")


def deployment(first: int = 1) -> Deployment:
    addresses = {
        name: Address("0x" + f"{place:040d}") for place, name in enumerate(WIRING, start=first)
    }
    return Deployment(31337, bytes(32), BlockNumber(1), addresses)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.create(tmp_path / "north", CONFIG, deployment().to_json(), "passphrase")


def test_no_key_lies_open_on_the_disk(home: Home) -> None:
    secrets = (home.account_key(), home.signing_key().seed, home.identity().seed)
    for path in (home.path / "keys").iterdir():
        assert not path.stat().st_mode & 0o077
        assert not any(secret.hex() in path.read_text("utf-8") for secret in secrets)


def test_another_passphrase_opens_nothing(home: Home) -> None:
    stranger = Home.open(home.path, "another")
    for opens in (stranger.account_key, stranger.identity, stranger.signing_key):
        with pytest.raises(BadKey, match="passphrase"):
            opens()


def test_a_home_keeps_to_its_deployment(home: Home) -> None:
    home.set_deployment(deployment().to_json())
    with pytest.raises(HomeError, match="another deployment"):
        home.set_deployment(deployment(first=20).to_json())
    assert home.deployment() == deployment()


def test_keys_are_never_replaced(home: Home) -> None:
    before = (home.path / "keys" / "account.json").read_text("utf-8")
    with pytest.raises(HomeError, match="never replaced"):
        Home.create(home.path, CONFIG, None, "passphrase")
    assert (home.path / "keys" / "account.json").read_text("utf-8") == before


def test_a_damaged_home_is_named(home: Home) -> None:
    (home.path / "home.json").write_text(json.dumps({"role": "nobody"}), "utf-8")
    with pytest.raises(HomeError, match=r"home\.json is damaged"):
        Home.open(home.path, "passphrase")


def test_a_folder_that_is_no_home_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="participant init"):
        Home.open(tmp_path, "passphrase")


def test_a_home_is_of_one_role(home: Home) -> None:
    assert home.require(HomeRole.HOSPITAL) is home
    with pytest.raises(HomeError, match="not of a center"):
        replace(home, key=None).require(HomeRole.CENTER)


def test_a_home_that_names_no_node_says_so_and_what_to_give(home: Home) -> None:
    ended = replace(home, config=replace(home.config, rpc=""))
    with pytest.raises(HomeError, match="names no node: give --rpc"):
        ended.client()
    assert ended.node_address("http://127.0.0.1:1") == "http://127.0.0.1:1"
