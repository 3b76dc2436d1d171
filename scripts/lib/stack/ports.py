"""Ports on loopback: choose a free one, or see whether one is free."""

import random
import socket
from pathlib import Path

from lib.stack.errors import StackError

LOOPBACK = "127.0.0.1"
LOWEST = 10_240
TRIES = 100


def free_port() -> int:
    """Return a free port that stays its server's while that is stopped: one the system gives to no outgoing connection."""
    lowest_given = _lowest_given()
    for _ in range(TRIES if lowest_given > LOWEST else 0):
        port = random.randrange(LOWEST, lowest_given)
        if is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _lowest_given() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port now; a closing connection of an earlier server does not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def choose(*, service: str, given: int | None, remembered: int | None, strict: bool = False) -> int:
    """Pick the port of a service: the given one, else the one it had before, else a free one.

    A given port that is taken is an error; so is a remembered one under `strict` (clients hold its address).
    """
    wanted = given if given is not None else remembered
    if wanted is None:
        return free_port()
    if not 0 < wanted < 65536:
        raise StackError(f"{service}: port {wanted} is not between 1 and 65535")
    if is_free(wanted):
        return wanted
    if given is not None or strict:
        raise StackError(f"{service}: port {wanted} is in use by another program")
    return free_port()
