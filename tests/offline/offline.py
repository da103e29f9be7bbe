"""No test reaches another computer: Python's sockets are for this one alone."""

from __future__ import annotations

import functools
import ipaddress
import socket
from collections.abc import Callable
from typing import Any

RESOLVERS = ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr")
METHODS = ("connect", "connect_ex", "sendto")


class NetworkForbidden(BaseException):
    """A test wants to reach another computer. Not an ``Exception``: what catches those would hide it."""

    def __init__(self, host: object) -> None:
        super().__init__(
            f"a test wants to reach {host}: tests use no network, serve it from 127.0.0.1 or stand in for it"
        )


def check(host: Any) -> None:
    """Let this computer pass, by address or by name."""
    name = (host.decode() if isinstance(host, bytes) else str(host or "localhost")).partition("%")[0].lower()
    here = socket.gethostname().lower()
    if name in ("localhost", here) or name.startswith(f"{here}."):
        return
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        raise NetworkForbidden(host) from None
    if not (address.is_loopback or address.is_unspecified):
        raise NetworkForbidden(host)


def block() -> None:
    """From here on; a second call changes nothing."""
    if not hasattr(socket.socket.connect, "__wrapped__"):
        for name in RESOLVERS:
            setattr(socket, name, _resolver(getattr(socket, name)))
        for name in METHODS:
            setattr(socket.socket, name, _method(getattr(socket.socket, name)))


def _resolver(resolve: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(resolve)
    def checked(host: Any, *rest: Any, **options: Any) -> Any:
        check(host)
        return resolve(host, *rest, **options)

    return checked


def _method(send: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(send)
    def checked(self: socket.socket, *rest: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            check(rest[-1][0])  # the address comes last
        return send(self, *rest)

    return checked
