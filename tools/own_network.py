"""`python tools/own_network.py COMMAND…`: run a command in a network of its own, loopback alone.

What listens there on every address is reached by nobody else, and reaches nobody. Linux only; who
is not root needs user namespaces.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


def leave_networks() -> None:
    """Puts this process into a new network; raises OSError where it may not."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNET) == 0:
        return
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def raise_loopback() -> None:
    """Brings `lo` up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        asked = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(handle, SIOCGIFFLAGS, asked))[1]
        fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def main() -> int:
    """Becomes the command."""
    command = sys.argv[1:]
    if not command:
        print("own_network: error: no command is given", file=sys.stderr)
        return 2
    try:
        leave_networks()
        raise_loopback()
        os.execvp(command[0], command)
    except OSError as exc:
        print(
            f"own_network: error: {command[0]}: {exc.strerror}: check that it exists, and run this "
            "as root on Linux, or where user namespaces are allowed",
            file=sys.stderr,
        )
    return 1


if __name__ == "__main__":
    sys.exit(main())
