"""Ports that stay with who drew them, until somebody listens there or they are given back.

Those that were written down are kept or refused, and never exchanged in silence.
"""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from storage.cluster_swarm import ClusterSwarm
from storage.errors import BadConfiguration, NodeFailed
from storage.ports import Ports, _lock_of, read_ports
from storage.private_swarm import PrivateSwarm
from tests.storage.kit import free_port

HERE, THERE = "127.0.0.1", "127.0.0.2"  # two addresses of one machine


@contextmanager
def listening(host: str, port: int) -> Iterator[None]:
    with socket.create_server((host, port)):
        yield


@pytest.fixture
def ports() -> Iterator[Ports]:
    made = Ports()
    yield made
    made.give_back()


@pytest.fixture
def others() -> Iterator[Ports]:
    made = Ports()
    yield made
    made.give_back()


def test_two_who_ask_at_once_get_other_ports_and_none_that_the_system_gives_away(
    ports: Ports, others: Ports
) -> None:
    found = [owner.take(HERE) for _ in range(40) for owner in (ports, others)]
    assert len(set(found)) == len(found) == 80
    assert all(16384 <= port < 32768 for port in found)


def test_two_members_on_one_machine_have_the_same_port_at_two_addresses(
    ports: Ports, others: Ports
) -> None:
    port = ports.take(HERE)
    others.claim(THERE, port, wait_s=0)
    with pytest.raises(NodeFailed, match=f"port {port} at {HERE} cannot be had: another node"):
        others.claim(HERE, port, wait_s=0)
    ports.give_back()
    others.claim(HERE, port, wait_s=0)


def test_who_has_a_port_or_why_there_is_none_is_said(ports: Ports, others: Ports) -> None:
    port = others.take(HERE)
    others.give_back()
    with listening(HERE, port), pytest.raises(NodeFailed, match="another program listens there"):
        ports.claim(HERE, port, wait_s=0)
    with pytest.raises(NodeFailed, match="the system refuses it"):
        ports.claim("192.0.2.1", port, wait_s=0)
    with pytest.raises(NodeFailed, match=r"no port is free on 192\.0\.2\.1"):
        ports.take("192.0.2.1")


def test_no_port_is_drawn_that_somebody_had_before_while_there_are_others(
    ports: Ports, others: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    had = ports.take(HERE)
    ports.give_back()
    fresh = next(port for port in range(20000, 32768) if not _was_given(port))
    monkeypatch.setattr("random.sample", lambda _range, _count: [had, fresh])
    assert others.take(HERE) == fresh
    assert ports.take(HERE) == had  # rather than none


def _was_given(port: int) -> bool:
    return _lock_of(HERE, port).exists()


@pytest.mark.parametrize(
    "content",
    [
        "no json",
        "[]",
        "7",
        '{"a": 7}',
        '{"a": ["80"]}',
        '{"a": [65536]}',
        '{"a": [-1]}',
        '{"a": [true]}',
    ],
)
def test_a_record_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ports.json"
    assert read_ports(path) == {}
    path.write_text(content)
    with pytest.raises(BadConfiguration, match=f"{path} is no record of ports.*correct it"):
        read_ports(path)


def recorded(folder: Path, *ports: int) -> None:
    (folder / "ports.json").write_text(json.dumps({"harbor": ports}))


def test_a_recorded_port_that_another_has_ends_the_start_and_stays_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.private_swarm.PORT_S", 0.0)
    port = free_port()
    recorded(tmp_path, port, 0)
    swarm = PrivateSwarm(tmp_path, ["harbor"])
    with pytest.raises(NodeFailed, match=rf"harbor is to listen where {tmp_path}/ports.json says"):
        swarm._chosen_ports()
    assert read_ports(tmp_path / "ports.json") == {"harbor": [port, 0]}


def test_a_port_of_which_nobody_was_told_is_exchanged(tmp_path: Path) -> None:
    port = free_port()
    recorded(tmp_path, port)
    swarm = PrivateSwarm(tmp_path, ["harbor"], ports_may_change=True)
    (found,) = swarm._chosen_ports().values()
    swarm.stop()
    assert len(found) == 2
    assert port not in found
    assert read_ports(tmp_path / "ports.json") == {"harbor": found}


def test_each_port_is_looked_at_where_it_will_listen(tmp_path: Path, others: Ports) -> None:
    """RPC and REST are on loopback, wherever the others are."""
    swarm = ClusterSwarm(tmp_path, ["harbor"], host=THERE)
    port = free_port()
    recorded(tmp_path, port, 0, 0, 0)
    (found,) = swarm._chosen_ports().values()
    assert found[0] == port  # taken at the other address alone
    for host, used in zip((THERE, HERE, THERE, HERE), found, strict=True):
        with pytest.raises(NodeFailed):
            others.claim(host, used, wait_s=0)
    swarm.stop()


def test_ways_that_were_given_back_are_not_used_again(tmp_path: Path) -> None:
    swarm = ClusterSwarm(tmp_path, ["harbor"], one_port=True)
    swarm._ways["harbor"].append(swarm._kept_ports.take(HERE))
    swarm.stop()
    assert swarm._ways == {"harbor": []}
