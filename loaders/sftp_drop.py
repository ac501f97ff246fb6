"""The SFTP drop: agencies put their deliveries straight into their own part of the inbox.

A login is a source; its public keys stand in `<drop_keys>/<source>.pub` and are read at each login.
It sees `<inbox>/<source>` and nothing else: no shell, no forwarding, no links, no passwords. The
server's own key is made once, under `<home>/drop/host_key`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path
from typing import Any

import asyncssh

from loaders.contracts.model import load_contracts
from loaders.log import get_logger
from loaders.settings import Settings, SettingsError

LOGIN_SECONDS = 30
#: A connection that is silent for so long is dead.
KEEPALIVE_SECONDS = 60


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until the process is told to stop.

    Raises:
        SettingsError: NQ42_DROP_KEYS is not set or is no folder.
        OSError: the address is taken.
    """
    asyncio.run(_serve(settings, host, port))


def is_alive(host: str, port: int) -> bool:
    """Whether an SSH server answers there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), 5) as connection:
        return connection.recv(4) == b"SSH-"
    return False


async def _serve(settings: Settings, host: str, port: int) -> None:
    if settings.drop_keys is None or not settings.drop_keys.is_dir():
        raise SettingsError("NQ42_DROP_KEYS must be the folder with the agencies' public keys")
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    os.umask(0o077)
    server = await asyncssh.listen(
        host,
        port,
        server_factory=lambda: _Login(settings),
        sftp_factory=lambda channel: _Files(channel, settings.inbox),
        server_host_keys=[_host_key(settings.home / "drop" / "host_key")],
        login_timeout=LOGIN_SECONDS,
        keepalive_interval=KEEPALIVE_SECONDS,
        agent_forwarding=False,
        allow_scp=False,
    )
    async with server:
        get_logger().info("the drop is open", host=host, port=server.get_port())
        await stopped.wait()


def _host_key(path: Path) -> Any:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = asyncssh.generate_private_key("ssh-ed25519")
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(key.export_private_key())
    return asyncssh.read_private_key(path)


class _Login(asyncssh.SSHServer):
    """Only sources that have a contract and a key; every attempt is logged."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._peer = ""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._peer = conn.get_extra_info("peername")[0]

    def begin_auth(self, username: str) -> bool:
        keys = asyncssh.import_authorized_keys("")
        file = (self._settings.drop_keys or Path()) / f"{username}.pub"
        # The name is looked for among the known ones before it becomes part of a path.
        if username in {contract.source for contract in load_contracts()} and file.is_file():
            try:
                keys = asyncssh.read_authorized_keys(str(file))
            except ValueError as error:
                get_logger().warning("the keys are not readable", source=username, why=str(error))
        self._connection.set_authorized_keys(keys)
        get_logger().info("login tried", source=username, address=self._peer)
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def auth_completed(self) -> None:
        source = self._connection.get_extra_info("username")
        get_logger().info("login accepted", source=source, address=self._peer)


class _Files(asyncssh.SFTPServer):
    """The files of one source; links would lead out of its folder."""

    def __init__(self, channel: Any, inbox: Path) -> None:
        self._source = channel.get_connection().get_extra_info("username")
        folder = inbox / self._source
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        super().__init__(channel, chroot=os.fsencode(folder))

    def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("no links here")

    def link(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("no links here")

    def close(self, file_obj: Any) -> None:
        is_written = file_obj.writable()
        size = os.fstat(file_obj.fileno()).st_size
        super().close(file_obj)
        if is_written:
            name = os.path.relpath(os.fsdecode(file_obj.name), os.fsdecode(self._chroot or b""))
            get_logger().info("file received", source=self._source, file=name, bytes=size)
