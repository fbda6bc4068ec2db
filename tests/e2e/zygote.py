"""Runs commands of `consilium` in forks of one process that has imported everything.

A command takes two seconds to import what it needs, and a whole study has a hundred of them. Each
still runs in a process of its own, with its own arguments, environment, folder and descriptors.
Commands that stay (`--watch`, `chain start`) are started as real ones, see `run_consilium`.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import sys
from pathlib import Path


def main() -> None:
    """Serve on the socket that argv names, until the process that started this is gone."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(sys.argv[1])
    server.listen(64)
    _import_all()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = server.accept()
        if os.fork() == 0:
            server.close()
            _handle(connection)
        connection.close()


def _import_all() -> None:
    from api.cli.main import COMMANDS

    for name in COMMANDS:
        importlib.import_module(f"api.cli.{name}")
    for name in ("chain.anvil", "federated.training", "federated.networks", "sklearn"):
        importlib.import_module(name)


def _handle(connection: socket.socket) -> None:
    """One command: in a child, so that its status can be told whatever ends it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    data, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    request = json.loads(data)
    child = os.fork()
    if child == 0:
        _run(request, descriptors)
    _, status = os.waitpid(child, 0)
    connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _run(request: dict[str, object], descriptors: list[int]) -> None:
    from api.cli.main import main as consilium

    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
    os.environ.clear()
    os.environ.update(request["env"])  # type: ignore[call-overload]
    os.chdir(str(request["cwd"]))
    if log := os.environ.get("OPENED_FILES"):
        sys.path.insert(0, str(Path(__file__).parent / "opened"))
        importlib.import_module("sitecustomize").record(log)
    arguments = [str(item) for item in request["argv"]]  # type: ignore[attr-defined]
    sys.argv = ["consilium", *arguments]
    code = 70
    try:
        code = consilium(arguments)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
