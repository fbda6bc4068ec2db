"""The one path of writing: once is one effect, whatever dies in between."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain import toolchain
from chain.anvil import Anvil
from chain.client import Client
from chain.contracts import Contracts
from chain.deploy import MINTABLE, deploy
from chain.errors import (
    BadKey,
    NodeDown,
    OutboxBroken,
    OutboxBusy,
    OutboxConflict,
    TxRefused,
    TxReverted,
    TxTimeout,
    WrongChain,
)
from chain.node import Node
from chain.outbox import Entry, Outbox, State
from chain.participants import KeysSet, Role
from chain.refusal import RpcRefusal
from chain.rpc import request
from chain.sender import MAX_GAS, _half_blocks
from chain.token import Token
from chain.types import BlockNumber, Call, Receipt, Wei
from tests.chain.kit import COINS, PATIENCE_S, Chain, Relay, RoundPath, address, wait_for_save

pytestmark = pytest.mark.engine("anvil")


def tokens(party: Contracts) -> Token:
    return party.token(party.deployment.address_of(MINTABLE))


def balance(party: Contracts) -> int:
    block = party.client.block_number()
    return tokens(party).balance_of(party.client.address, block_identifier=block)


def sent_by(party: Contracts) -> int:
    return party.client.node.nonce(party.client.address, block="latest")


def test_a_call_takes_effect_and_its_receipt_carries_its_events(chain: Chain) -> None:
    party = chain.party(Role.HOSPITAL)
    receipt = party.client.send(party.participants.set_keys(b"\4" * 32, b"\5" * 32))
    (event,) = party.participants.in_receipt(KeysSet, receipt)
    assert (event.account, event.signing) == (party.client.address, b"\4" * 32)
    keys = party.participants.keys_at(
        party.client.address, receipt.block, block_identifier=receipt.block
    )
    assert keys.encryption == b"\5" * 32


def test_a_step_asked_for_twice_is_one_transaction(chain: Chain) -> None:
    party = chain.party()
    call = tokens(party).mint(party.client.address, Wei(7))
    first = party.client.send(call, step="mint")
    assert party.client.send(call, step="mint") == first
    assert balance(party) == 7
    assert sent_by(party) == 1


def test_calls_without_a_step_are_made_each_time(chain: Chain) -> None:
    party = chain.party()
    for _ in range(2):
        party.client.send(tokens(party).mint(party.client.address, Wei(7)))
    assert balance(party) == 14


def test_a_step_asked_for_with_another_call_is_a_conflict(chain: Chain) -> None:
    party = chain.party()
    party.client.send(tokens(party).mint(party.client.address, Wei(7)), step="mint")
    with pytest.raises(OutboxConflict, match="step mint"):
        party.client.send(tokens(party).mint(party.client.address, Wei(8)), step="mint")
    assert balance(party) == 7


def test_a_refusal_names_the_error_and_its_arguments_and_signs_nothing(chain: Chain) -> None:
    party = chain.party()
    call = party.participants.set_keys(b"\4" * 32, b"\5" * 32)
    with pytest.raises(TxReverted, match=r"Participants.setKeys.*NotAParticipant") as caught:
        party.client.send(call, step="keys")
    assert caught.value.name == "NotAParticipant"
    assert caught.value.arguments == {"account": party.client.address}
    assert party.client.outbox.all() == []


def test_errors_of_contracts_called_by_others_are_named_too(chain: Chain) -> None:
    center = chain.party(Role.CENTER)
    with pytest.raises(TxReverted) as caught:
        center.client.send(center.studies.open(chain.terms(), [], Wei(10_000)))
    assert caught.value.name == "ERC20InsufficientAllowance"
    assert caught.value.arguments["needed"] == 10_000


def test_a_step_that_was_refused_can_be_asked_for_again(chain: Chain) -> None:
    party = chain.party()
    call = party.participants.set_keys(b"\4" * 32, b"\5" * 32)
    with pytest.raises(TxReverted):
        party.client.send(call, step="keys")
    operator = chain.operator
    operator.client.send(operator.participants.admit(party.client.address, Role.CENTER, b"\1" * 32))
    assert party.client.send(call, step="keys").block > 0


def test_a_transaction_refused_in_its_block_gives_the_same_error(chain: Chain) -> None:
    party, other = chain.party(tokens=5), chain.party()
    spend = tokens(party).transfer(other.client.address, Wei(5))
    chain.automine(on=False)
    results: list[Receipt | BaseException] = []

    def send(step: str) -> None:
        try:
            results.append(party.client.send(spend, step=step))
        except TxReverted as exc:
            results.append(exc)

    # Both are simulated on the same pending state that the node shows while it does not mine.
    threads = [threading.Thread(target=send, args=(step,)) for step in ("one", "two")]
    try:
        for thread in threads:
            thread.start()
        time.sleep(0.5)
    finally:
        chain.automine(on=True)
        chain.mine()
    for thread in threads:
        thread.join(PATIENCE_S)
    errors = [result for result in results if isinstance(result, TxReverted)]
    assert [error.name for error in errors] == ["ERC20InsufficientBalance"]
    assert len(results) == 2


def test_an_account_without_coins_is_told_so_and_its_nonce_stays_free(chain: Chain) -> None:
    home = chain.home / "poor"
    poor = Client(Node(chain.anvil.url), os.urandom(32), home / "outbox.sqlite")
    call = chain.operator.token(chain.operator.deployment.address_of(MINTABLE)).mint(
        poor.address, Wei(1)
    )
    with pytest.raises(TxRefused, match="fund the account"):
        poor.send(call, step="mint")
    chain.anvil.fund(poor.address, COINS)
    assert poor.send(call, step="mint").block > 0


def test_without_a_key_one_only_reads(chain: Chain) -> None:
    reader = Client(Node(chain.anvil.url))
    assert reader.block_number() > 0
    with pytest.raises(BadKey, match="can only read"):
        reader.send(Call("x", address(1), b""))


def test_a_transaction_that_no_block_takes_times_out_and_is_found_again(chain: Chain) -> None:
    party = chain.party()
    call = tokens(party).mint(party.client.address, Wei(7))
    chain.automine(on=False)
    try:
        party.client.timeout_s = 0.2
        with pytest.raises(TxTimeout, match="try again"):
            party.client.send(call, step="mint")
    finally:
        chain.automine(on=True)
        chain.mine()
    party.client.timeout_s = 120
    party.client.send(call, step="mint")
    assert balance(party) == 7
    assert sent_by(party) == 1


def test_hundreds_of_calls_go_together_and_refused_ones_hold_up_no_other(chain: Chain) -> None:
    party = chain.party()
    mint = tokens(party).mint
    calls = [(mint(party.client.address, Wei(1)), f"mint-{n}") for n in range(120)]
    calls[60] = (tokens(party).transfer(address(1), Wei(10**9)), "too-much")
    results = party.client.send_many(calls)
    refused = [n for n, result in enumerate(results) if isinstance(result, TxReverted)]
    assert refused == [60]
    assert balance(party) == 119
    again = party.client.send_many(calls[:10])
    assert again == results[:10]
    assert sent_by(party) == 119


def test_calls_that_go_together_share_blocks_on_a_chain_for_development(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody's nudge makes a block beside the chain's own, however long it takes.
    monkeypatch.setattr("chain.sender.MINE_EVERY_S", 10**6)
    party = chain.party()
    call = tokens(party).mint(party.client.address, Wei(1))
    results = party.client.send_many([(call, f"mint-{n}") for n in range(60)])
    assert len({receipt.block for receipt in results if isinstance(receipt, Receipt)}) == 1
    assert balance(party) == 60
    before = party.client.block_number()
    party.client.send(call)  # and the chain mines on demand again
    assert party.client.block_number() == before + 1


def test_calls_of_one_shape_are_estimated_once_and_judged_each(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    party = chain.party()
    transfer, estimated = tokens(party).transfer, []
    party.client.send(tokens(party).mint(party.client.address, Wei(10)))
    post = party.client.node._post
    monkeypatch.setattr(
        party.client.node,
        "_post",
        lambda body: estimated.extend(_estimates_in(body)) or post(body),
    )
    calls = [transfer(address(1), Wei(amount)) for amount in (1, 1, 10**9, 1, 1)]
    results = party.client.send_many([(call, f"{n}") for n, call in enumerate(calls)])
    assert [n for n, r in enumerate(results) if isinstance(r, TxReverted)] == [2]
    assert "ERC20InsufficientBalance" in str(results[2])
    assert len(estimated) == 2  # the first of them, and the one that the first's gas does not carry
    assert balance(party) == 6


def _estimates_in(body: Any) -> list[Any]:
    return [one for one in body if one["method"] == "eth_estimateGas"] if type(body) is list else []


LOOP = "0x5f355b8015600f57600190036002565b00"
"""Counts down from the first word of what it is called with; every count costs gas."""


def test_a_call_that_needs_more_than_the_first_of_its_shape_gets_more(chain: Chain) -> None:
    party, target = chain.party(), address(0x1234)
    request(chain.anvil.url, "anvil_setCode", target, LOOP)
    calls = [Call("loop", target, count.to_bytes(32, "big")) for count in (1, 50_000, 2)]
    results = party.client.send_many([(call, f"{n}") for n, call in enumerate(calls)])
    assert all(isinstance(result, Receipt) for result in results)


@given(gases=st.lists(st.integers(21_000, MAX_GAS), min_size=1, max_size=40))
def test_calls_that_go_together_fill_half_a_block_at_most(gases: list[int]) -> None:
    entries = [Entry(str(n), n, Call("x", None, b""), b"", b"") for n in range(len(gases))]
    parts = list(_half_blocks(entries, gases))
    assert [entry for part in parts for entry in part] == entries
    for part in parts:
        assert part
        assert len(part) == 1 or sum(gases[entry.nonce] for entry in part) <= 15_000_000


def test_a_node_that_answers_no_batches_is_asked_one_by_one(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    party = chain.party()
    node = party.client.node
    post = node._post
    monkeypatch.setattr(node, "_post", lambda body: {} if isinstance(body, list) else post(body))
    call = tokens(party).mint(party.client.address, Wei(1))
    results = party.client.send_many([(call, f"mint-{n}") for n in range(3)])
    assert all(isinstance(result, Receipt) for result in results)
    answers = node.batch([("eth_chainId", []), ("eth_nothing", [])])
    assert int(answers[0], 16) == node.chain_id
    assert isinstance(answers[1], RpcRefusal)


def test_nonces_follow_each_other_through_threads_of_one_process(chain: Chain) -> None:
    party = chain.party()
    call = tokens(party).mint(party.client.address, Wei(1))
    threads = [
        threading.Thread(target=party.client.send, args=(call,), kwargs={"step": f"mint-{n}"})
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert balance(party) == 8
    assert [entry.nonce for entry in party.client.outbox.all()] == list(range(8))


SENDER = """
import sys
from pathlib import Path
from chain.client import Client
from chain.node import Node
from chain.types import Address, Call
url, key, outbox, to, data, name = sys.argv[1:]
client = Client(Node(url), bytes.fromhex(key), Path(outbox))
for n in range(4):
    client.send(Call("mint", Address(to), bytes.fromhex(data)), step=f"{name}-{n}")
    client.send(Call("mint", Address(to), bytes.fromhex(data)), step=f"both-{n}")
"""


@pytest.mark.processes
def test_two_processes_with_one_key_never_interleave(chain: Chain) -> None:
    key, outbox = os.urandom(32), chain.home / "shared" / "outbox.sqlite"
    client = Client(Node(chain.anvil.url), key, outbox)
    chain.anvil.fund(client.address, COINS)
    party = Contracts(client, chain.operator.deployment)
    call = tokens(party).mint(client.address, Wei(1))
    assert call.to is not None
    arguments = [chain.anvil.url, key.hex(), str(outbox), call.to, call.data.hex()]
    processes = [
        subprocess.Popen([sys.executable, "-c", SENDER, *arguments, name], cwd=toolchain.ROOT)
        for name in ("a", "b")
    ]
    assert [process.wait(PATIENCE_S) for process in processes] == [0, 0]
    assert balance(party) == 12
    assert [entry.nonce for entry in client.outbox.all()] == list(range(12))


def test_an_outbox_held_too_long_by_another_is_named(chain: Chain) -> None:
    party = chain.party()
    genesis = party.client.block_hash(BlockNumber(0))
    path = chain.home / "party-0" / "outbox.sqlite"
    other = Outbox(path, genesis, party.client.address)
    with (
        party.client.outbox.lock(),
        pytest.raises(OutboxBusy, match="another process"),
        other.lock(timeout_s=0.1),
    ):
        pass


def test_signed_but_never_sent_is_sent_by_resume(chain: Chain, relay: Relay) -> None:
    """As after `kill -9` between signing and sending."""
    party = chain.party()
    client = Client(
        Node(relay.url),
        party.client.sender.signer,
        chain.home / "party-0" / "outbox.sqlite",
    )
    relay.instead["eth_sendRawTransaction"] = lambda _body, _ask: os._exit  # type: ignore[return-value]
    with pytest.raises(NodeDown):
        client.send(tokens(party).mint(party.client.address, Wei(7)), step="mint")
    assert sent_by(party) == 0
    assert party.client.resume().sent == ["mint"]
    assert balance(party) == 7
    assert party.client.resume().sent == []


def test_what_a_node_counts_before_it_shows_it_in_its_block_is_not_taken_for_replaced(
    chain: Chain, relay: Relay
) -> None:
    """As anvil does for a moment: what would be dropped then would be made a second time."""
    party = chain.party()
    party.client.send(tokens(party).mint(party.client.address, Wei(7)), step="mint")
    outbox = chain.home / "party-0" / "outbox.sqlite"
    client = Client(Node(relay.url), party.client.sender.signer, outbox)
    relay.instead["eth_getTransactionReceipt"] = lambda *_: {"result": None}
    resumed = client.resume()
    assert (resumed.sent, resumed.dropped, resumed.stale) == ([], {}, [])
    relay.instead["eth_getTransactionByHash"] = lambda *_: {"result": None}
    assert client.resume().dropped == {"mint": "Replaced"}


def test_a_node_that_is_down_is_named_without_its_credentials() -> None:
    with pytest.raises(NodeDown) as caught:
        Node("http://name:secret@127.0.0.1:1/path-with-token")
    assert "http://127.0.0.1:1" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "token" not in str(caught.value)


def test_another_chain_than_the_one_expected_is_refused(anvil: Anvil) -> None:
    with pytest.raises(WrongChain, match="serves chain 31337, not 1"):
        Node(anvil.url, chain_id=1)


class Restarted:
    """One chain of its own that can be killed, and parties on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state.gz"
        self.keys = {name: os.urandom(32) for name in ("operator", "center")}
        self.anvil = Anvil(self.state)
        for name in self.keys:
            self.anvil.fund(self.client(name).address, COINS)
        self.deployment = deploy(self.client("operator"), token=True)

    def client(self, name: str) -> Client:
        return Client(Node(self.anvil.url), self.keys[name], self.folder / "outbox.sqlite")

    def contracts(self, name: str) -> Contracts:
        return Contracts(self.client(name), self.deployment)

    def save(self) -> None:
        """Waits until the keeper has saved all blocks so far; it saves nothing from then on."""
        wait_for_save(self.anvil)
        os.kill(self.anvil.keeper_pid, signal.SIGSTOP)

    def crash(self) -> None:
        os.kill(self.anvil.pid, signal.SIGKILL)
        os.kill(self.anvil.keeper_pid, signal.SIGCONT)
        self.anvil.stop()
        self.anvil = Anvil(self.state)


@pytest.mark.processes
def test_what_a_killed_chain_lost_is_sent_again_once_and_in_order(tmp_path: Path) -> None:
    world = Restarted(tmp_path)
    try:
        center = world.contracts("center")
        mint = tokens(center).mint
        center.client.send(mint(center.client.address, Wei(1)), step="mint-0")
        world.save()
        lost = [(mint(center.client.address, Wei(10**n)), f"mint-{n}") for n in (1, 2, 3)]
        for call, step in lost:
            center.client.send(call, step=step)
        world.crash()
        center = world.contracts("center")
        resumed = center.client.resume()
        assert (resumed.sent, resumed.dropped) == (["mint-1", "mint-2", "mint-3"], {})
        assert balance(center) == 1111
        assert sent_by(center) == 4
        for call, step in lost:
            center.client.send(call, step=step)
        assert balance(center) == 1111
        assert sent_by(center) == 4
    finally:
        world.anvil.stop()


@pytest.mark.processes
def test_a_transaction_whose_ground_vanished_is_dropped_and_later_ones_signed_anew(
    tmp_path: Path,
) -> None:
    world = Restarted(tmp_path)
    try:
        operator, center = world.contracts("operator"), world.contracts("center")
        world.save()
        admit = operator.participants.admit(center.client.address, Role.CENTER, b"\1" * 32)
        operator.client.send(admit, step="admit")
        keys = center.participants.set_keys(b"\4" * 32, b"\5" * 32)
        mint = tokens(center).mint(center.client.address, Wei(7))
        center.client.send(keys, step="keys")
        center.client.send(mint, step="mint")
        world.crash()
        operator, center = world.contracts("operator"), world.contracts("center")
        # The center is back before the operator: it was never admitted to this chain.
        resumed = center.client.resume()
        assert (resumed.sent, resumed.dropped, resumed.stale) == (
            [],
            {"keys": "NotAParticipant"},
            ["mint"],
        )
        assert [e.state for e in center.client.outbox.all()] == [State.DROPPED, State.STALE]
        assert sent_by(center) == 0
        assert operator.client.resume().sent == ["admit"]
        # Asked for in another order, each is signed anew with the nonce that is due.
        center.client.send(mint, step="mint")
        center.client.send(keys, step="keys")
        assert balance(center) == 7
        assert [(e.step, e.nonce) for e in center.client.outbox.all()] == [("mint", 0), ("keys", 1)]
    finally:
        world.anvil.stop()


@pytest.mark.processes
def test_a_freeze_of_a_block_that_the_chain_lost_is_made_anew(tmp_path: Path) -> None:
    world = Restarted(tmp_path)
    try:
        path = RoundPath(Chain(world.anvil, world.contracts("operator"), tmp_path), submitted=False)
        world.save()
        request(world.anvil.url, "anvil_mine", "0x3")
        freeze, submission = path.make_freeze(), path.submission()
        path.hospital.client.send(path.hospital.rounds.freeze(freeze), step="freeze")
        path.hospital.client.send(submission, step="submit")
        world.crash()

        signer = path.hospital.client.sender.signer
        client = Client(Node(world.anvil.url), signer, tmp_path / "party-1" / "outbox.sqlite")
        hospital = Contracts(client, world.deployment)
        resumed = client.resume()
        assert (resumed.sent, resumed.stale) == ([], ["submit"])
        assert resumed.dropped == {"freeze": "BadSnapshot"}
        # On a restarted anvil BLOCKHASH is wrong for blocks before the restart.
        block = client.block_number()
        anew = dataclasses.replace(freeze, snapshot=block, snapshot_hash=client.block_hash(block))
        client.send(hospital.rounds.freeze(anew), step="freeze")
        receipt = client.send(submission, step="submit")
        (frozen,) = hospital.rounds.freezes(path.study, path.round, to_block=receipt.block)
        assert frozen.freeze == anew
        assert len(hospital.rounds.submissions(path.study, path.round, to_block=receipt.block)) == 1
    finally:
        world.anvil.stop()


@pytest.mark.parametrize("content", [b"not a database", None], ids=["damaged", "unwritable"])
def test_an_outbox_that_cannot_be_used_is_named(anvil: Anvil, tmp_path: Path, content: Any) -> None:
    path = tmp_path / "home" / "outbox.sqlite"
    if content is None:
        path.parent.write_bytes(b"a file, not a folder")
    else:
        path.parent.mkdir()
        path.write_bytes(content)
    with pytest.raises(OutboxBroken, match=r"home"):
        Client(Node(anvil.url), os.urandom(32), path)


@pytest.mark.processes
def test_a_new_chain_is_not_fed_with_an_old_chains_transactions(tmp_path: Path) -> None:
    world = Restarted(tmp_path)
    try:
        world.anvil.stop()
        world.state.unlink()
        time.sleep(1.1)  # another second, another genesis
        world.anvil = Anvil(world.state)
        client = world.client("operator")
        assert client.resume().sent == []
        assert client.outbox.all() == []
    finally:
        world.anvil.stop()


@pytest.mark.processes
@pytest.mark.parametrize("after", [1, 4, 5], ids=["unsigned", "unsent", "unseen"])
def test_a_sender_killed_at_any_line_has_one_effect_when_it_comes_back(
    chain: Chain, tmp_path: Path, after: int
) -> None:
    """The process ends itself, without cleaning up, before its nth request of those that matter."""
    key, outbox = os.urandom(32), tmp_path / "outbox.sqlite"
    client = Client(Node(chain.anvil.url), key, outbox)
    chain.anvil.fund(client.address, COINS)
    party = Contracts(client, chain.operator.deployment)
    call = tokens(party).mint(client.address, Wei(1))
    assert call.to is not None
    arguments = [chain.anvil.url, key.hex(), str(outbox), call.to, call.data.hex(), str(after)]
    done = subprocess.run(
        [sys.executable, "-c", DYING, *arguments],
        cwd=toolchain.ROOT,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode in (0, 9)
    client.send(call, step="mint")
    client.resume()
    assert balance(party) == 1
    assert sent_by(party) == 1


DYING = """
import os, sys
from pathlib import Path
from chain.client import Client
from chain.node import Node
from chain.types import Address, Call
url, key, outbox, to, data, after = sys.argv[1:]
client = Client(Node(url), bytes.fromhex(key), Path(outbox))
left = int(after)
ask = client.node.request
def request(method, *params):
    global left
    if left == 0:
        os._exit(9)
    left -= 1
    return ask(method, *params)
client.node.request = request
client.send(Call("mint", Address(to), bytes.fromhex(data)), step="mint")
"""
