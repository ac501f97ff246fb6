"""The SFTP drop as a process of its own, and real clients that may and may not come in."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from loaders import processes
from loaders.settings import PROJECT_ROOT
from loaders.sftp_drop import is_alive

HOST, START_SECONDS = "127.0.0.1", 30
CONTENT = "mã hộ;họ tên\n1;không ai\n".encode()


@dataclass(frozen=True)
class Drop:
    home: Path
    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    #: Source → the private key that its agency holds.
    keys: dict[str, asyncssh.SSHKey]

    @property
    def inbox(self) -> Path:
        return self.home / "inbox"

    def ask(self, work: Callable[[Any], Awaitable[Any]], user: str, **options: Any) -> Any:
        """Run some work on a connection that knows the server's key."""
        options.setdefault("client_keys", [self.keys[user]] if user in self.keys else None)
        kept = asyncssh.read_private_key(self.home / "drop" / "host_key").export_public_key()
        known = asyncssh.import_known_hosts(f"[{HOST}]:{self.port} {kept.decode()}")

        async def run() -> Any:
            async with asyncssh.connect(
                HOST, self.port, username=user, known_hosts=known, config=None, **options
            ) as connection:
                return await work(connection)

        return asyncio.run(run())


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drop]:
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("keys")
    keys = {name: asyncssh.generate_private_key("ssh-ed25519") for name in ("health", "nobody")}
    for name, key in keys.items():
        (folder / f"{name}.pub").write_bytes(key.export_public_key())
    port = processes.free_port(HOST, home / "port")
    variables = {**os.environ, "NQ42_HOME": str(home), "NQ42_DROP_KEYS": str(folder)}
    command = [sys.executable, "-m", "loaders.cli", "drop", "--host", HOST, "--port", str(port)]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=variables, cwd=PROJECT_ROOT, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not is_alive(HOST, port):
            assert process.poll() is None and time.monotonic() < deadline, (
                home / "log"
            ).read_text()
            time.sleep(0.1)
        yield Drop(home, folder, port, process, keys)
    finally:
        process.terminate()
        process.wait(10)


def upload(path: str) -> Callable[[Any], Awaitable[None]]:
    async def work(connection: Any) -> None:
        async with connection.start_sftp_client() as sftp:
            await sftp.makedirs(path.rpartition("/")[0], exist_ok=True)
            async with sftp.open(path, "wb") as file:
                await file.write(CONTENT)

    return work


def test_a_delivery_lies_in_the_inbox_of_its_source_for_the_owner_only(drop: Drop) -> None:
    drop.ask(upload("2025-07/list.csv"), "health")
    file = drop.inbox / "health" / "2025-07" / "list.csv"
    assert file.read_bytes() == CONTENT
    assert file.stat().st_mode & 0o077 == 0
    said = (drop.home / "log").read_text()
    assert "file received" in said and "2025-07/list.csv" in said


@pytest.mark.parametrize("path", ["../housing/x.csv", "/../../x.csv", "../../../../x.csv"])
def test_no_path_leads_out_of_a_source(drop: Drop, path: str) -> None:
    drop.ask(upload(path), "health")
    written = list(drop.home.rglob("x.csv"))
    assert written and all(drop.inbox / "health" in file.parents for file in written)
    for file in written:
        file.unlink()


def test_links_are_refused(drop: Drop) -> None:
    async def link(connection: Any) -> None:
        async with connection.start_sftp_client() as sftp:
            await sftp.symlink("/../..", "out")

    with pytest.raises(asyncssh.SFTPPermissionDenied):
        drop.ask(link, "health")
    assert not (drop.inbox / "health" / "out").is_symlink()


async def nothing(_: Any) -> None:
    return None


@pytest.mark.parametrize("user", ["nobody", "housing", "../keys/health", "", "root"])
def test_only_a_source_with_a_key_comes_in(drop: Drop, user: str) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        drop.ask(nothing, user, client_keys=[*drop.keys.values()])


def test_a_key_of_another_and_a_password_are_refused(drop: Drop) -> None:
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    with pytest.raises(asyncssh.PermissionDenied):
        drop.ask(nothing, "health", client_keys=[stranger])
    with pytest.raises(asyncssh.PermissionDenied):
        drop.ask(nothing, "health", client_keys=None, password="any")


def test_there_is_no_shell_and_no_way_further(drop: Drop) -> None:
    async def shell(connection: Any) -> None:
        await connection.run("id", check=True)

    async def further(connection: Any) -> None:
        await connection.open_connection(HOST, drop.port)

    with pytest.raises((asyncssh.ChannelOpenError, asyncssh.ProcessError)):
        drop.ask(shell, "health")
    with pytest.raises(asyncssh.ChannelOpenError):
        drop.ask(further, "health")


def test_a_key_that_is_taken_away_opens_no_more(drop: Drop) -> None:
    file = drop.folder / "health.pub"
    kept = file.read_bytes()
    file.unlink()
    try:
        with pytest.raises(asyncssh.PermissionDenied):
            drop.ask(nothing, "health")
    finally:
        file.write_bytes(kept)
    drop.ask(nothing, "health")


def test_the_servers_key_is_for_the_owner_only(drop: Drop) -> None:
    assert (drop.home / "drop" / "host_key").stat().st_mode & 0o777 == 0o600


def test_without_a_folder_of_keys_it_does_not_start() -> None:
    command = [sys.executable, "-m", "loaders.cli", "drop", "--port", "1"]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "NQ42_DROP_KEYS must be the folder" in done.stderr
