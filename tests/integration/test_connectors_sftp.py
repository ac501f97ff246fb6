"""The sftp connector against a real SSH server that is killed, restarted and replaced."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from loaders.settings import SettingsError
from tests.integration.landing import CONTENT, QUICK, Landing, landed, receipts, recorded

PASSWORD = "pass-4711"


class Login(asyncssh.SSHServer):
    def __init__(self, server: Server) -> None:
        self._server = server

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._server.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("nq42", PASSWORD)


class Server:
    """An SSH server with SFTP in a thread of its own; ``on_read`` may interfere with transfers."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.client_key = asyncssh.generate_private_key("ssh-ed25519")
        self.port = 0
        self.connections: list[asyncssh.SSHServerConnection] = []
        self.offsets: list[int] = []
        self.on_read: Callable[[int], None] = lambda offset: None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._listener: Any = None
        self.start()

    @property
    def host_key(self) -> str:
        return self.key.export_public_key().decode().strip()

    def start(self) -> None:
        server = self

        class Files(asyncssh.SFTPServer):
            def __init__(self, channel: Any) -> None:
                super().__init__(channel, chroot=os.fsencode(server.root))

            def read(self, file_obj: Any, offset: int, size: int) -> bytes:
                server.offsets.append(offset)
                server.on_read(offset)
                return super().read(file_obj, offset, size)

        async def listen() -> Any:
            return await asyncssh.listen(
                "127.0.0.1",
                self.port,
                server_factory=lambda: Login(self),
                server_host_keys=[self.key],
                authorized_client_keys=asyncssh.import_authorized_keys(
                    self.client_key.export_public_key().decode()
                ),
                sftp_factory=Files,
                reuse_address=True,
            )

        self._listener = asyncio.run_coroutine_threadsafe(listen(), self._loop).result()
        self.port = self._listener.get_port()

    def kill(self) -> None:
        """Drop every connection and stop listening; runs in the server's own loop."""
        self._listener.close()
        for connection in self.connections:
            connection.abort()
        self.connections.clear()

    def kill_at(self, offset: int, then: Callable[[], None] = lambda: None) -> None:
        """Die at the first read at or after an offset; come back half a second later."""

        def on_read(at: int) -> None:
            if at >= offset:
                self.on_read = lambda _: None
                self.kill()
                then()
                threading.Timer(0.3, self.start).start()

        self.on_read = on_read

    def close(self) -> None:
        async def stop() -> None:
            self.kill()
            await self._listener.wait_closed()
            await asyncio.sleep(0.05)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "out").mkdir()
    running = Server(tmp_path)
    yield running
    running.close()


@pytest.fixture
def options(server: Server, landing: Landing) -> dict[str, Any]:
    landing.secret("agency", PASSWORD)
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "username": "nq42",
        "credential": "agency",
        "host_key": server.host_key,
        "folder": "/out",
        "pattern": "DS_{yyyymm}*.csv",
        # The killed server needs a moment to come back.
        "retry": {"attempts": 6, "wait_initial": 0.2, "wait_max": 0.3},
    }


def put(server: Server, period: str, content: bytes = CONTENT, suffix: str = "") -> Path:
    path = server.root / "out" / f"DS_{period.replace('-', '')}{suffix}.csv"
    path.write_bytes(content)
    return path


def test_a_file_and_its_side_car_are_landed(
    landing: Landing, server: Server, options: dict[str, Any]
) -> None:
    path = put(server, "2024-01")
    note = {"data_label": "sample", "control_totals": {"rows": 3}}
    path.with_name(path.name + ".delivery.json").write_text(json.dumps(note))
    result = landing("2024-01", "sftp", **options)
    assert landed(result) == CONTENT
    assert (result.file_name, result.data_label) == (path.name, "sample")


def test_a_private_key_logs_in_too(
    landing: Landing, server: Server, options: dict[str, Any]
) -> None:
    put(server, "2024-01", b"a;b\n")
    landing.secret("agency", server.client_key.export_private_key().decode())
    assert landed(landing("2024-01", "sftp", **options)) == b"a;b\n"
    put(server, "2024-01", b"c;d\n")
    locked = server.client_key.export_private_key("pkcs8-pem", "pass-phrase").decode()
    landing.secret("agency", json.dumps({"private_key": locked, "passphrase": "pass-phrase"}))
    assert landed(landing("2024-01", "sftp", **options)) == b"c;d\n"
    landing.secret("agency", json.dumps({"private_key": locked, "passphrase": "wrong-phrase"}))
    with pytest.raises(SettingsError, match="'agency' is no private key") as caught:
        landing("2024-01", "sftp", **options)
    assert "phrase" not in str(caught.value).replace("passphrase", "")


def test_a_server_killed_in_the_middle_goes_on_where_it_broke(
    landing: Landing, server: Server, options: dict[str, Any]
) -> None:
    put(server, "2024-02")
    server.kill_at(len(CONTENT) // 2)
    assert landed(landing("2024-02", "sftp", **options)) == CONTENT
    # One chunk may have been on its way; nothing before it is asked for twice.
    died = next(i for i, at in enumerate(server.offsets) if at >= len(CONTENT) // 2)
    assert min(server.offsets[died + 1 :]) > 0
    assert server.offsets.count(0) == 1


def test_a_file_that_changed_while_the_server_was_away_is_fetched_anew(
    landing: Landing, server: Server, options: dict[str, Any]
) -> None:
    path = put(server, "2024-03")
    other = CONTENT[::-1] + b"more"
    server.kill_at(len(CONTENT) // 2, lambda: path.write_bytes(other) and None)
    assert landed(landing("2024-03", "sftp", **options)) == other


def test_a_file_that_grows_while_it_is_read_is_fetched_anew(
    landing: Landing, server: Server, options: dict[str, Any]
) -> None:
    path = put(server, "2024-04")

    def grow(_: int) -> None:
        server.on_read = lambda _: None
        with path.open("ab") as file:
            file.write(b"late")

    server.on_read = grow
    assert landed(landing("2024-04", "sftp", **options)) == CONTENT + b"late"


def test_a_file_that_is_still_being_uploaded_is_not_taken(
    landing: Landing, server: Server, options: dict[str, Any]
) -> None:
    path = put(server, "2024-05", b"a;b\n")
    stop = threading.Event()

    def upload() -> None:
        while not stop.wait(0.02):
            with path.open("ab") as file:
                file.write(b"1;2\n")

    writer = threading.Thread(target=upload)
    writer.start()
    try:
        result = landing("2024-05", "sftp", **options | {"stable_seconds": 0.3, "retry": QUICK})
    finally:
        stop.set()
        writer.join()
    assert (result.status, result.is_unreachable) == ("missing", True)
    assert "is still being written" in (result.reason or "")


def test_another_host_key_is_refused_before_anything_is_sent(
    landing: Landing, server: Server, options: dict[str, Any]
) -> None:
    put(server, "2024-06")
    server.kill()
    server.key = asyncssh.generate_private_key("ssh-ed25519")
    server.start()
    result = landing("2024-06", "sftp", **options)
    assert result.status == "refused"
    assert "shows another host key than the contract's" in (result.reason or "")
    assert server.offsets == []
    # Another kind of key than the contract's is no less unknown.
    server.kill()
    server.key = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    server.start()
    assert landing("2024-06", "sftp", **options).status == "refused"
    assert receipts("2024-06") == []


def test_a_refused_login_is_not_tried_again_and_names_no_password(
    landing: Landing,
    server: Server,
    options: dict[str, Any],
    capfd: pytest.CaptureFixture[str],
) -> None:
    put(server, "2024-06")
    landing.secret("agency", "wrong-4712")
    result = landing("2024-06", "sftp", **options)
    assert result.status == "refused"
    assert "refuses the login of 'nq42' with the credential 'agency'" in (result.reason or "")
    assert "4712" not in f"{result!r} {recorded('2024-06')} {capfd.readouterr()}"
    assert len(server.connections) == 1


def test_nothing_there_is_missing(
    landing: Landing, server: Server, options: dict[str, Any]
) -> None:
    result = landing("2024-07", "sftp", **options)
    assert (result.status, result.is_unreachable) == ("missing", False)
    assert "expected DS_202407*.csv in /out (connector sftp)" in (result.reason or "")
    result = landing("2024-07", "sftp", **options | {"folder": "/out/{period}"})
    assert result.status == "missing"


def test_two_files_that_match_are_refused_by_name(
    landing: Landing, server: Server, options: dict[str, Any]
) -> None:
    put(server, "2024-08")
    put(server, "2024-08", suffix="_v2")
    result = landing("2024-08", "sftp", **options)
    assert result.status == "refused"
    assert "2 files match" in (result.reason or "")
    assert "DS_202408.csv, DS_202408_v2.csv" in (result.reason or "")


def test_more_bytes_than_the_limit_are_not_even_fetched(
    landing: Landing, server: Server, options: dict[str, Any]
) -> None:
    put(server, "2024-09")
    result = landing("2024-09", "sftp", **options, max_bytes=1000)
    assert result.status == "refused"
    assert "the contract allows 1000" in (result.reason or "")
    assert server.offsets == []


def test_a_server_that_stays_away_is_recorded(
    landing: Landing, server: Server, options: dict[str, Any]
) -> None:
    put(server, "2024-10")
    server.on_read = lambda _: server.kill()  # and it does not come back
    result = landing("2024-10", "sftp", **options | {"retry": QUICK})
    assert (result.status, result.is_unreachable) == ("missing", True)
    assert recorded("2024-10")["reason"] == result.reason


def test_a_slow_server_hits_the_time_out(
    landing: Landing, server: Server, options: dict[str, Any]
) -> None:
    put(server, "2024-11")
    server.on_read = lambda _: time.sleep(1)
    slow = {"timeouts": {"read": 0.2}, "retry": QUICK | {"attempts": 1}}
    result = landing("2024-11", "sftp", **options | slow)
    assert result.is_unreachable
    assert "tried once" in (result.reason or "")


def test_a_name_that_is_no_file_name_is_passed_over(
    landing: Landing, server: Server, options: dict[str, Any]
) -> None:
    put(server, "2024-12", suffix="\n")
    assert landing("2024-12", "sftp", **options).status == "missing"
