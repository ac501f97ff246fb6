"""Files on an SFTP server, resumed after a cut; the server's key is the contract's or nobody's."""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from loaders.connectors.base import (
    BESIDE,
    CHUNK_BYTES,
    SIDE_CAR_MAX_BYTES,
    SIDE_CAR_SUFFIX,
    DataLabel,
    Delivery,
    DeliveryError,
    Maturity,
    Order,
    Sink,
    SourceUnavailable,
    only_one,
)
from loaders.connectors.options import (
    RETRY,
    TIMEOUTS,
    NamePattern,
    Port,
    Retry,
    Seconds,
    SecretName,
    Template,
    Timeouts,
    Wait,
)
from loaders.connectors.retries import with_retries
from loaders.settings import SettingsError

if TYPE_CHECKING:
    import asyncssh

HostKey = Annotated[str, Field(pattern=r"^(ssh|ecdsa|sk-)[a-z0-9@.-]* [A-Za-z0-9+/=]+( .*)?$")]
#: Lost keepalives after which the line counts as dead.
KEEPALIVES = 3


@dataclass(frozen=True)
class _Server:
    host: str
    port: int
    username: str
    host_key: str
    credential: str
    timeouts: Timeouts
    keepalive_seconds: float


@dataclass
class _File:
    """The file that a try has found; another size or time means another file."""

    name: str
    size: int
    modified: int | None
    side_car: bytes | None = None

    def state(self) -> tuple[int, int | None]:
        return self.size, self.modified


def fetch_sftp(
    order: Order,
    sink: Sink,
    *,
    host: str,
    username: str,
    credential: SecretName,
    host_key: HostKey,
    pattern: NamePattern,
    folder: Template = ".",
    port: Port = 22,
    stable_seconds: Wait = 0,
    keepalive_seconds: Seconds = 15,
    timeouts: Timeouts = TIMEOUTS,
    retry: Retry = RETRY,
    maturity: Maturity = "provisional",
    data_label: DataLabel = "real",
) -> Delivery | None:
    """The file of one dataset for a period; None when nothing has arrived.

    Args:
        host, port, username: the server and the login on it.
        credential: secret: a password, a private key, or ``{"private_key", "passphrase"}`` (a key
            with a passphrase in PKCS#8; OpenSSH's own form of those needs the package bcrypt).
        host_key: the server's public key, such as ``ssh-ed25519 AAAA…``, as the agency gave it.
        folder: folder on the server, a template.
        pattern: file name, a template, with ``*``, ``?`` and ``[…]``.
        stable_seconds: a file must keep its size and time for so long before it is taken.
        keepalive_seconds: how often a silent line is probed; three lost probes end it.
        maturity, data_label: of files without a side-car ``<name>.delivery.json``.

    Raises:
        DeliveryError: another host key, a refused login, several files match, a wrong side-car.
        SourceUnavailable: trouble on the way, after all tries, or a file still being written.
        SettingsError: no such secret, or a private key that cannot be read.
    """
    server = _Server(host, port, username, host_key, credential, timeouts, keepalive_seconds)
    login = _login(order, credential)
    name, place = order.fill(pattern), order.fill(folder).rstrip("/") or "/"
    begun: list[_File] = []

    async def transfer() -> bool:
        async with _connect(server, login) as sftp:
            found = await _find(sftp, server, place, name)
            if found is None:
                return False
            if begun and begun[0].state() != found.state():
                sink.restart()
            elif not begun and stable_seconds:
                await asyncio.sleep(stable_seconds)
                await _refuse_change(sftp, place, found)
            begun[:] = [found]
            sink.announce(found.size)
            await _copy(sftp, server, place, found, sink)
            found.side_car = await _side_car(sftp, server, place, found.name)
        return True

    def attempt() -> bool:
        with _plain_errors(server):
            return asyncio.run(transfer())

    if not with_retries(attempt, sink, retry):
        return None
    return order.delivery(begun[0].name, maturity, data_label, sent=begun[0].side_car)


def _login(order: Order, credential: str) -> dict[str, Any]:
    """Arguments of the login; nothing of this machine's own keys is offered to the server."""
    import asyncssh

    parts = order.credential(credential, "password")
    key = parts.get("private_key")
    if key is None and parts.get("password", "").startswith("-----BEGIN"):
        key = parts["password"]
    if key is None:
        return {"password": parts.get("password", ""), "client_keys": None}
    try:
        loaded = asyncssh.import_private_key(key + "\n", parts.get("passphrase"))
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        raise SettingsError(
            f"the secret {credential!r} is no private key that can be read (with its passphrase)"
        ) from None
    return {"client_keys": [loaded]}


@asynccontextmanager
async def _connect(server: _Server, login: dict[str, Any]) -> AsyncIterator[asyncssh.SFTPClient]:
    import asyncssh

    try:
        trusted = asyncssh.import_public_key(server.host_key)
    except asyncssh.KeyImportError as error:
        raise DeliveryError(
            f"host_key of {server.host} is no public key; correct it in the contract"
        ) from error
    async with (
        asyncssh.connect(
            server.host,
            server.port,
            username=server.username,
            known_hosts=([trusted], [], []),
            config=None,
            agent_path=None,
            connect_timeout=server.timeouts.connect,
            login_timeout=server.timeouts.connect,
            keepalive_interval=server.keepalive_seconds,
            keepalive_count_max=KEEPALIVES,
            **login,
        ) as connection,
        connection.start_sftp_client() as sftp,
    ):
        yield sftp


@contextmanager
def _plain_errors(server: _Server) -> Iterator[None]:
    import asyncssh

    place = f"{server.host}:{server.port}"
    try:
        yield
    except asyncssh.HostKeyNotVerifiable as error:
        raise DeliveryError(
            f"{place} shows another host key than the contract's: nothing was sent to it. Ask the "
            "agency by telephone whether the server changed, never take the key from the line"
        ) from error
    except asyncssh.PermissionDenied as error:
        raise DeliveryError(
            f"{place} refuses the login of {server.username!r} with the credential "
            f"{server.credential!r}; correct the secret, or ask the agency for access"
        ) from error
    except asyncssh.KeyExchangeFailed as error:
        raise DeliveryError(
            f"{place} and this side know no common algorithm ({error.reason}); ask the agency to "
            "renew its server, or for its other host key"
        ) from error
    except (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect) as error:
        raise DeliveryError(
            f"{place} does not let {server.username!r} read there ({error.reason}); ask the agency "
            "for access"
        ) from error
    except (asyncssh.Error, OSError, TimeoutError) as error:
        what = str(getattr(error, "reason", None) or getattr(error, "strerror", None) or "")
        raise SourceUnavailable(
            f"{place} cannot be reached, or broke off ({what or type(error).__name__})"
        ) from error


async def _find(
    sftp: asyncssh.SFTPClient, server: _Server, folder: str, pattern: str
) -> _File | None:
    import asyncssh

    names = []
    try:
        async for entry in sftp.scandir(folder):
            name = str(entry.filename)
            # A name is the server's word: one with a slash or a line break is no file name.
            if "/" not in name and name.isprintable() and fnmatch.fnmatchcase(name, pattern):
                names.append(name)
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
        return None  # the month's folder is made with the month's first file
    files = [name for name in names if not name.endswith(BESIDE)]
    chosen = only_one(files, f"{folder} on {server.host}", pattern)
    return None if chosen is None else await _stat(sftp, folder, chosen)


async def _stat(sftp: asyncssh.SFTPClient, folder: str, name: str) -> _File:
    found = await sftp.stat(f"{folder}/{name}")
    return _File(name, found.size or 0, found.mtime)


async def _refuse_change(sftp: asyncssh.SFTPClient, folder: str, found: _File) -> None:
    if (await _stat(sftp, folder, found.name)).state() != found.state():
        raise SourceUnavailable(
            f"{found.name} is still being written; it is taken once it is whole"
        )


async def _copy(
    sftp: asyncssh.SFTPClient, server: _Server, folder: str, found: _File, sink: Sink
) -> None:
    async with sftp.open(f"{folder}/{found.name}", "rb") as file:
        while sink.size < found.size:
            wanted = min(CHUNK_BYTES, found.size - sink.size)
            chunk = await asyncio.wait_for(file.read(wanted, sink.size), server.timeouts.read)
            if not chunk:
                break
            sink.write(chunk)
    try:
        await _refuse_change(sftp, folder, found)
    except SourceUnavailable:
        sink.restart()
        raise
    if sink.size != found.size:
        raise SourceUnavailable(
            f"{found.name} has {found.size} bytes and {sink.size} came from {server.host}"
        )


async def _side_car(
    sftp: asyncssh.SFTPClient, server: _Server, folder: str, name: str
) -> bytes | None:
    import asyncssh

    try:
        async with sftp.open(f"{folder}/{name}{SIDE_CAR_SUFFIX}", "rb") as file:
            return await asyncio.wait_for(file.read(SIDE_CAR_MAX_BYTES + 1), server.timeouts.read)
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
        return None
