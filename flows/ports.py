"""Where servers of ours may listen: hosts and ports of this machine, and the addresses to reach them by."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable

from sorigil.errors import RequestError

LOOPBACK = "127.0.0.1"
PORTS_TRIED = 50


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def address(host: str, port: int) -> str:
    """The http address to open in a browser on this machine, or from elsewhere where it can be reached from there."""
    named = socket.gethostname() if host in ("0.0.0.0", "::") else host
    return f"http://[{named}]:{port}" if ":" in named else f"http://{named}:{port}"


def port_is_free(host: str, port: int) -> bool:
    """Whether a server may listen there, and nobody answers there already (on some systems both can be)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe, contextlib.suppress(OSError):
        probe.settimeout(1.0)
        if probe.connect_ex((reachable(host), port)) == 0:
            return False
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def reachable(host: str) -> str:
    """The address at which this machine reaches what listens on `host`."""
    return {"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)


def choose_port(host: str, asked: int | None, usual: int, say: Callable[[str], None], what: str) -> int:
    """The port that was asked for, or else the usual one, or the next free one after it.

    Raises:
        RequestError: the port that was asked for is taken, or the host is not one of this machine's.
    """
    _check_host(host)
    if asked is not None:
        if not 0 < asked < 65536:
            raise RequestError(f"{what}: the port is {asked}; it must be within 1 to 65535")
        if not port_is_free(host, asked):
            raise RequestError(f"{what}: port {asked} of {host} is taken or not allowed; name another one")
        return asked
    for port in range(usual, usual + PORTS_TRIED):
        if port_is_free(host, port):
            if port != usual:
                say(f"{what}: port {usual} is taken, {port} is used instead")
            return port
    raise RequestError(f"{what}: no port of {host} from {usual} to {usual + PORTS_TRIED - 1} is free; name another one")


def _check_host(host: str) -> None:
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.bind((host, 0))
    except OSError as error:
        raise RequestError(f"host is {host!r}, which is no address of this machine ({error.strerror})") from None
