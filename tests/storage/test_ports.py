"""Ports that stay with who drew them, until somebody listens there or they are given back."""

import socket

import pytest

from storage.errors import NodeFailed
from storage.ports import Ports

HOST = "127.0.0.1"


def test_two_who_ask_at_once_get_other_ports_and_none_that_the_system_gives_away() -> None:
    one, other = Ports(), Ports()
    try:
        found = [owner.take(HOST) for _ in range(40) for owner in (one, other)]
    finally:
        one.give_back()
        other.give_back()
    assert len(set(found)) == len(found) == 80
    assert all(16384 <= port < 32768 for port in found)


def test_a_wished_port_is_given_once_and_again_when_it_was_given_back() -> None:
    one, other = Ports(), Ports()
    try:
        port = one.take(HOST)
        assert other.take(HOST, port) != port
        one.give_back()
        assert other.take(HOST, port) == port
    finally:
        one.give_back()
        other.give_back()


def test_a_port_on_which_somebody_listens_is_passed_over() -> None:
    ports = Ports()
    try:
        with socket.create_server((HOST, 0)) as server:
            taken = server.getsockname()[1]
            assert ports.take(HOST, taken) != taken
    finally:
        ports.give_back()


def test_an_address_of_another_machine_has_none() -> None:
    with pytest.raises(NodeFailed, match=r"no port is free on 192\.0\.2\.1"):
        Ports().take("192.0.2.1")
