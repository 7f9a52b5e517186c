"""`ticketstub run --transparent`: Plex's names resolve to the local Plex for any program, without a proxy (Linux).

Rule: the run has its own user, network and mount namespace, which no other process sees and which ends with the last
program in it. Its only network is loopback. It needs no root, but a system that lets users create namespaces;
otherwise the error says so.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from ticketstub.cli.errors import InvalidUsage

_NEW_MOUNTS, _NEW_USER, _NEW_NETWORK = 0x00020000, 0x10000000, 0x40000000  # CLONE_NEWNS, _NEWUSER, _NEWNET
_RECURSIVE, _PRIVATE, _BIND = 0x4000, 1 << 18, 0x1000  # MS_REC, MS_PRIVATE, MS_BIND
_SET_FLAGS, _UP = 0x8914, 0x1  # SIOCSIFFLAGS, IFF_UP
_HINT = "leave out --transparent: most programs use the proxy"
PLEX_ADDRESS = "127.0.0.1"
"""The address that Plex's names resolve to in the namespace."""


def enter_namespaces(names: Iterable[str], folder: Path) -> None:
    """Move this process to new namespaces, in which these names resolve to loopback.

    Args:
        names: the host names.
        folder: the folder for the hosts file, which is mounted over the system's.

    Raises:
        InvalidUsage: that is not possible on this system; the message says why.
    """
    if sys.platform != "linux":
        raise InvalidUsage("--transparent needs Linux's namespaces", hint=_HINT)
    import fcntl
    import socket
    import struct

    user, group = os.getuid(), os.getgid()
    _call_libc("unshare", _NEW_USER | _NEW_MOUNTS | _NEW_NETWORK)
    try:
        Path("/proc/self/setgroups").write_text("deny", "ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", "ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", "ascii")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sH22x", b"lo", _UP))
    except OSError as error:
        _raise_unsupported(error)
    hosts = folder / "hosts"
    lines = "".join(f"{PLEX_ADDRESS} {name}\n" for name in names)
    hosts.write_text(f"{Path('/etc/hosts').read_text('utf-8')}\n{lines}", "utf-8")
    _call_libc("mount", b"none", b"/", None, _RECURSIVE | _PRIVATE, None)
    _call_libc("mount", os.fsencode(hosts), b"/etc/hosts", None, _BIND, None)


def _call_libc(name: str, *arguments: int | bytes | None) -> None:
    """Call a function of the C library; raises `InvalidUsage` if it fails."""
    import ctypes

    ulong = [ctypes.c_ulong(each) if isinstance(each, int) and name == "mount" else each for each in arguments]
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*ulong):
        number = ctypes.get_errno()
        _raise_unsupported(OSError(number, os.strerror(number)))


def _raise_unsupported(error: OSError) -> NoReturn:
    reason = error.strerror if error.errno != errno.ENOSPC else "their number is limited (user.max_user_namespaces)"
    raise InvalidUsage(f"this system does not let users create namespaces: {reason}", hint=_HINT) from None
