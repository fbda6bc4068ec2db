"""anvil as a child: it ends with its parent, and goes on from its state after any death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from chain import toolchain
from chain.anvil import Anvil
from chain.errors import NodeDown, NodeFailed, ToolMissing
from chain.rpc import request
from tests.chain.kit import PATIENCE_S, own_port, wait_for_save

pytestmark = [pytest.mark.engine("anvil"), pytest.mark.processes]

SOMEONE = "0x" + "11" * 20
PARENT = """
import sys, time
from pathlib import Path
from chain.anvil import Anvil
node = Anvil(Path(sys.argv[1]))
print(node.pid, node.url, flush=True)
time.sleep(600)
"""


def height(url: str) -> int:
    return int(request(url, "eth_blockNumber"), 16)


def gone(pid: int) -> bool:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_after_kill_9_the_chain_goes_on_from_its_last_save(tmp_path: Path) -> None:
    state = tmp_path / "state.gz"
    with Anvil(state) as node:
        node.fund(SOMEONE, 5)
        request(node.url, "evm_mine")
        request(node.url, "evm_mine")
        wait_for_save(node)
        known = [request(node.url, "eth_getBlockByNumber", hex(n), False)["hash"] for n in range(3)]
        top = height(node.url)
        node.kill()
    with Anvil(state) as node:
        assert height(node.url) == top + 1  # and one block, so that BLOCKHASH is right from here
        again = [request(node.url, "eth_getBlockByNumber", hex(n), False)["hash"] for n in range(3)]
        assert again == known
        assert request(node.url, "eth_getBalance", SOMEONE, hex(1)) == "0x5"


def test_a_clock_that_was_moved_on_never_goes_back(tmp_path: Path) -> None:
    state = tmp_path / "state.gz"
    with Anvil(state) as node:
        request(node.url, "evm_increaseTime", hex(1_000_000))
        request(node.url, "evm_mine")
        before = int(request(node.url, "eth_getBlockByNumber", "latest", False)["timestamp"], 16)
    with Anvil(state) as node:
        after = int(request(node.url, "eth_getBlockByNumber", "latest", False)["timestamp"], 16)
        pending = int(request(node.url, "eth_getBlockByNumber", "pending", False)["timestamp"], 16)
    assert pending >= after > before


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_anvil_ends_when_the_process_that_started_it_is_killed(
    tmp_path: Path, how: signal.Signals
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "state.gz")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=toolchain.ROOT,
    )
    assert parent.stdout is not None
    pid, url = parent.stdout.readline().split()
    assert height(url) == 0
    parent.send_signal(how)
    parent.wait(PATIENCE_S)
    parent.stdout.close()
    assert gone(int(pid))


def test_anvil_ends_when_its_keeper_is_killed(tmp_path: Path) -> None:
    with Anvil(tmp_path / "state.gz") as node:
        os.kill(node.keeper_pid, signal.SIGKILL)
        assert gone(node.pid)


def test_a_chain_outlives_a_disk_that_takes_no_state(tmp_path: Path) -> None:
    state = tmp_path / "state.gz"
    in_the_way = tmp_path / "state.gz.new"  # whoever runs the tests may write anywhere else
    in_the_way.mkdir()
    with Anvil(state) as node:
        node.fund(SOMEONE, 5)
        time.sleep(1)  # more than the keeper waits for its first try
        assert height(node.url) == 1
        assert not state.exists()
        in_the_way.rmdir()
        wait_for_save(node)


def test_a_second_process_on_one_state_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state.gz"
    with Anvil(state), pytest.raises(NodeFailed, match="another process runs a chain"):
        Anvil(state)


def test_a_damaged_state_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    state = tmp_path / "state.gz"
    state.write_bytes(b"\x1f\x8bnothing")
    with pytest.raises(NodeFailed, match=r"state\.gz.*restore"):
        Anvil(state)
    assert state.read_bytes() == b"\x1f\x8bnothing"


def test_without_anvil_the_error_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolchain, "NODE_MODULES", tmp_path)
    with pytest.raises(ToolMissing, match="make setup"):
        Anvil()


def test_a_stopped_anvil_leaves_no_folder_and_no_server(tmp_path: Path) -> None:
    with own_port() as port:
        node = Anvil(tmp_path / "state.gz", port=port)
        node.stop()
        assert not node.folder.exists()
        with pytest.raises(NodeDown):
            request(node.url, "eth_chainId")


def test_a_chain_keeps_its_genesis_however_often_it_starts_again(tmp_path: Path) -> None:
    state = tmp_path / "state.json.gz"
    seen = set()
    for _ in range(5):
        with Anvil(state) as anvil:
            request(anvil.url, "evm_mine")
            seen.add(request(anvil.url, "eth_getBlockByNumber", "0x0", False)["hash"])
    assert len(seen) == 1


def test_a_page_of_another_origin_gets_no_leave_to_command_the_chain() -> None:
    """A browser on this machine reaches every loopback port, for any page that it shows."""
    with Anvil() as node:
        body = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}'
        headers = {"Origin": "http://page.example", "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(node.url, body, headers)) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers
        # What a page may send without asking first is not taken for a command.
        headers["Content-Type"] = "text/plain"
        with urllib.request.urlopen(urllib.request.Request(node.url, body, headers)) as answer:
            assert b"result" not in answer.read()


def listening(pid: int, port: int) -> list[str]:
    """The addresses that listen on a port, in Linux' hexadecimal form."""
    lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    return [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")]


def test_it_listens_beyond_loopback_only_where_it_is_told() -> None:
    with Anvil() as node:
        assert listening(node.pid, node.port) == [f"0100007F:{node.port:04X}"]
    with own_port() as port, Anvil(port=port, expose=True) as node:
        assert node.port == port
        assert listening(node.pid, port) == [f"00000000:{port:04X}"]
        assert height(node.url) == 0
