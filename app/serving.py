"""What stands between the page and the network: addresses, passwords, and the requests that are refused."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from labkit.errors import UsageError

AUTH = "LABKIT_AUTH"
"""The environment variable with ``user:password``."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Guard:
    """Refuses requests that are addressed to a foreign host, and uploads, which no view of the app takes.

    A page of another origin whose name was made to resolve to this machine (DNS rebinding) sends its own name as
    ``Host``.

    Args:
        app: the ASGI application.
        hosts: the names and addresses that this server goes by.
    """

    def __init__(self, app: Any, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            headers = dict(scope["headers"])
            if host_name(headers.get(b"host", b"").decode("latin-1")) not in self._hosts:
                await _refuse(send, 421, "This server does not go by that name.")
                return
            if scope["path"].rstrip("/").endswith("/upload"):
                await _refuse(send, 403, "This server takes no files.")
                return
        await self._app(scope, receive, send)


async def _refuse(send: Any, status: int, message: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{message}\n".encode()})


def host_name(header: str) -> str:
    """The name in a ``Host`` header, without its port and without the brackets of an IPv6 address."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def hosts_of(host: str) -> tuple[str, ...]:
    """The names that a server on ``host`` goes by: loopback, the host itself, and on a wildcard address all
    addresses of this machine."""
    if not _is_wildcard(host):
        return (*LOOPBACK, host)
    return (*LOOPBACK, *_local_addresses(), socket.gethostname(), f"{socket.gethostname()}.local")


def addresses(host: str, port: int) -> list[str]:
    """The addresses that people can type."""
    names = _local_addresses() or ["127.0.0.1"] if _is_wildcard(host) else [host]
    return [f"http://{f'[{name}]' if ':' in name else name}:{port}" for name in names]


def _is_wildcard(host: str) -> bool:
    return host in ("0.0.0.0", "::", "")


def _local_addresses() -> list[str]:
    """The addresses under which others reach this machine, the usual one first."""
    found = []
    # Connecting a datagram socket sends nothing; it only asks which address would be used.
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        found.append(probe.getsockname()[0])
    with suppress(OSError):
        found += [info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    return [name for name in dict.fromkeys(found) if not ipaddress.ip_address(name).is_loopback]


def credentials(host: str, auth: str | None, auth_file: str | None) -> tuple[str, str] | None:
    """User and password: given, from a file, or from the environment; None on loopback without any.

    Raises:
        UsageError: the file cannot be read, the form is another one, or others can reach ``host`` without a password.
    """
    if auth and auth_file:
        raise UsageError("give --auth or --auth-file, not both")
    source, login = "--auth", auth
    if auth_file:
        source = f"--auth-file {auth_file}"
        try:
            login = Path(auth_file).read_text(encoding="utf-8").partition("\n")[0].strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"cannot read --auth-file {auth_file}: {getattr(error, 'strerror', None) or error}; "
                "name a text file with user:password in its first line"
            ) from None
    elif not auth and os.environ.get(AUTH):
        source, login = AUTH, os.environ[AUTH]
    if login is None:
        if is_loopback(host):
            return None
        raise UsageError(f"--host {host} opens the app to others: add --auth-file FILE, or set {AUTH}=user:password")
    user, colon, password = login.partition(":")
    if not (user and colon and password):
        raise UsageError(f"{source} has no user:password; write both, with a colon between them")
    return user, password


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def free_port(host: str, port: int) -> int:
    """The port, or any free one when it is taken.

    Raises:
        UsageError: nothing can listen on the host.
    """
    for wanted in (port, 0):
        try:
            with socket.create_server((host, wanted)) as server:
                return server.getsockname()[1]
        except OSError as error:
            refused = error
    raise UsageError(f"cannot listen on {host}: {refused.strerror}; choose another --host or --port")
