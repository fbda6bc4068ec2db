"""Besu's files: `extraData` as Besu's own tests publish it, and what a network refuses."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from chain import besu, besu_files
from chain.besu import Validator, Vote, extra_data
from chain.errors import BadNetwork
from chain.keys import address_of
from chain.types import Address

ONE, TWO = (Address(f"0x{n:040x}") for n in (1, 2))


def validators(count: int = 4) -> list[Validator]:
    return [Validator.of_key(bytes([n] * 32), f"192.0.2.{n}") for n in range(1, count + 1)]


# Besu 26.3: RLPSubCommandTest, QbftExtraDataCodecTest, and the genesis files of its own tests.
def test_extra_data_is_what_besus_rlp_encode_prints() -> None:
    given = (
        Address("0xbe068f726a13c8d46c44be6ce9d275600e1735a4"),
        Address("0x5ff6f4b66a46a2b2310a6f3a93aaddc0d9a1c193"),
    )
    assert extra_data(given).hex() == (
        "f84fa00000000000000000000000000000000000000000000000000000000000000000ea94be068f726a13c8d"
        "46c44be6ce9d275600e1735a4945ff6f4b66a46a2b2310a6f3a93aaddc0d9a1c193c080c0"
    )


def test_extra_data_is_what_besus_rlp_decode_reads() -> None:
    given = (
        Address("0x241f804efb46f71acaa5be94a62f7798e89c3724"),
        Address("0x6cdf72da457453063ea92e7fa5ac30afbcec28cd"),
    )
    assert extra_data(given).hex() == (
        "f84fa00000000000000000000000000000000000000000000000000000000000000000ea94241f804efb46f71acaa"
        "5be94a62f7798e89c3724946cdf72da457453063ea92e7fa5ac30afbcec28cdc080c0"
    )


def test_extra_data_with_vote_round_and_seals_is_what_besus_codec_writes() -> None:
    one, ten = (value.to_bytes(32, "big") for value in (1, 10))
    found = extra_data(
        [ONE, TWO],
        vanity=bytes(range(1, 33)),
        vote=Vote(ONE, add=True),
        round_number=0xFEDCBA,
        seals=[one + ten + b"\0", ten + one + b"\0"],
    )
    assert found.hex() == (
        "f8f0a00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20ea940000000000000000"
        "000000000000000000000001940000000000000000000000000000000000000002d7940000000000000000"
        "00000000000000000000000181ff83fedcbaf886b841000000000000000000000000000000000000000000"
        "0000000000000000000001000000000000000000000000000000000000000000000000000000000000000a"
        "00b841000000000000000000000000000000000000000000000000000000000000000a0000000000000000"
        "00000000000000000000000000000000000000000000000100"
    )


def test_extra_data_of_nobody_is_that_of_besus_genesis_files() -> None:
    assert extra_data([]).hex() == f"e5a0{'00' * 32}c0c080c0"


def test_a_vote_to_drop_is_an_empty_byte() -> None:
    add, drop = (extra_data([], vote=Vote(ONE, add)).hex() for add in (True, False))
    assert "d694" + ONE[2:] + "80" in drop
    assert "d794" + ONE[2:] + "81ff" in add


def test_a_validators_address_is_that_of_its_key() -> None:
    key = bytes(range(1, 33))
    assert Validator.of_key(key, "192.0.2.1").address == address_of(key)
    # The account of Besu's development genesis whose key it publishes, as everybody's.
    known = bytes.fromhex("8f2a55949038a9610f50fb23b5883af3b4ecb3c3bb792cbcefbd1542c692be63")
    address = Validator.of_key(known, "192.0.2.1").address
    assert address.lower() == "0xfe3b557e8fb62b89f4916b721be55ceb828dbd73"


def test_the_genesis_lists_validators_in_ascending_order_whoever_named_them_first() -> None:
    given = validators()
    made = besu.genesis(given, 2026)
    assert made == besu.genesis(given[::-1], 2026)
    listed = re.findall("94([0-9a-f]{40})", made["extraData"][76:])
    assert listed == sorted(item.address[2:].lower() for item in given)


def test_gas_is_free_and_nobody_begins_with_coins() -> None:
    made = besu.genesis(validators(), 2026)
    assert made["config"]["zeroBaseFee"] is True
    assert made["alloc"] == {}


def test_the_rules_are_those_that_the_contracts_are_compiled_for() -> None:
    made = besu.genesis(validators(), 2026)
    assert made["config"]["cancunTime"] == 0
    assert int(made["gasLimit"], 16) >= 2 * 16_777_216
    mark = "0x63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365"
    assert made["mixHash"] == mark


def test_every_static_node_is_permitted_and_no_account_is_ever_named() -> None:
    given = validators(5)
    found = tomllib.loads(besu.permissions(given))
    assert found == {"nodes-allowlist": besu.static_nodes(given)}
    assert all(Validator.parse(item) in given for item in found["nodes-allowlist"])
    assert "account" not in besu.permissions(given)


@pytest.mark.parametrize(("count", "faulty", "votes"), [(4, 1, 3), (6, 1, 4), (7, 2, 4), (3, 0, 2)])
def test_less_than_a_third_may_fail_and_votes_need_more_than_half(
    count: int, faulty: int, votes: int
) -> None:
    assert besu.faults(count) == faulty
    assert besu.votes_needed(count) == votes


@pytest.mark.parametrize(
    "enode",
    [
        "",
        "enode://00@192.0.2.1:30303",
        f"enode://{'11' * 64}@192.0.2.1:30303",  # no point of the curve
        f"{validators()[0].enode}0000",
        validators()[0].enode.replace("192.0.2.1", "node.example"),
        validators()[0].enode.replace("192.0.2.1", "999.0.2.1"),
        validators()[0].enode.replace(":30303", ":0"),
        validators()[0].enode + '"]\naccounts-allowlist=["',
    ],
)
def test_what_is_no_node_is_refused(enode: str) -> None:
    with pytest.raises(BadNetwork, match="no address of a node"):
        Validator.parse(enode)


def test_too_few_validators_or_the_same_twice_make_no_network() -> None:
    given = validators()
    moved = Validator(given[0].public_key, "192.0.2.9")
    elsewhere = Validator(validators(5)[4].public_key, given[0].host)
    for wrong in (given[:3], [*given, given[0]], [*given, moved], [*given, elsewhere]):
        with pytest.raises(BadNetwork):
            besu.genesis(wrong, 2026)
    for chain_id in (0, -1, 1 << 53):
        with pytest.raises(BadNetwork):
            besu.genesis(given, chain_id)


def test_a_key_is_the_owners_alone_and_never_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "north"
    first = besu_files.make_validator(folder, "192.0.2.1")
    again = besu_files.make_validator(folder, "192.0.2.8", 30304)
    assert again.public_key == first.public_key
    assert (folder / "enode").read_text() == again.enode + "\n"
    assert (folder / "key").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    secret = (folder / "key").read_text().strip()
    assert secret not in (folder / "enode").read_text()
    (folder / "key").write_text("spoiled")
    with pytest.raises(BadNetwork) as caught:
        besu_files.make_validator(folder, "192.0.2.1")
    assert "spoiled" not in str(caught.value)
    assert (folder / "key").read_text() == "spoiled"


def test_every_member_makes_the_same_bytes_and_a_chain_has_one_genesis(tmp_path: Path) -> None:
    given = validators()
    one, other = tmp_path / "one", tmp_path / "other"
    digests = {
        besu_files.make_network(one, given, 2026),
        besu_files.make_network(other, given[::-1], 2026),
        besu_files.make_network(one, given, 2026),
    }
    assert len(digests) == 1
    for name in ("genesis.json", "static-nodes.json", "permissions.toml"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    assert json.loads((one / "static-nodes.json").read_text()) == besu.static_nodes(given)
    with pytest.raises(BadNetwork, match="another network"):
        besu_files.make_network(one, given, 2027)
    assert json.loads((one / "genesis.json").read_text())["config"]["chainId"] == 2026
