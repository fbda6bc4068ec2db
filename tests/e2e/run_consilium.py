"""`consilium` for tests: a command that stays runs as itself, any other in a fork of the zygote.

Nothing but the standard library, so that it starts in a few milliseconds.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path


def run(argv: list[str], env: dict[str, str], cwd: str, descriptors: list[int]) -> int:
    """The exit status of one command; `descriptors` are its stdin, stdout and stderr."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(env["ZYGOTE"])
    request = json.dumps({"argv": argv, "env": env, "cwd": cwd}).encode()
    socket.send_fds(connection, [request], descriptors)
    answer = connection.recv(16)
    connection.close()
    return int(answer) if answer else 70


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if "--watch" in arguments or arguments[-2:] == ["chain", "start"]:
        os.execv(sys.executable, [sys.executable, "-m", "api.cli.main", *arguments])
    sys.exit(run(arguments, dict(os.environ), str(Path.cwd()), [0, 1, 2]))
