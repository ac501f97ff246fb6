"""A headless Chromium, driven over its own protocol: what a page shows, says and asks for."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.sync.client import ClientConnection, connect

from loaders.report.pdf import find_chromium

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--force-color-profile=srgb",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)
START_SECONDS = 60
ERROR_LEVELS = {"error", "assert"}


class Page:
    """One tab: commands, and everything that happened in it since it was opened."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._number = socket, 0
        self.requests: dict[str, dict[str, Any]] = {}
        self.errors: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command; its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=120))
            if message.get("id") == self._number:
                assert "error" not in message, message
                return dict(message.get("result", {}))
            self._note(message)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 60) -> None:
        """Until the expression is true in the page."""
        deadline = time.monotonic() + seconds
        while not self.evaluate(expression):
            assert time.monotonic() < deadline, f"never true: {expression}"
            time.sleep(0.25)

    def open(self, url: str) -> None:
        self.send("Page.navigate", url=url)

    def forget(self) -> None:
        """What happened so far."""
        self.requests.clear()
        self.errors.clear()

    def size(self, width: int, height: int) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def screenshot(self, path: Path) -> None:
        shot = self.send("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    def answer(self, request_id: str) -> str:
        """The body that a request was answered with."""
        found = self.send("Network.getResponseBody", requestId=request_id)
        return str(found["body"])

    def foreign(self, host: str) -> list[str]:
        """Addresses of other hosts that the page asked for, answered or not.

        What the page's own Content-Security-Policy stopped has not left the browser.
        """
        asked = [
            urlsplit(request["url"])
            for request in self.requests.values()
            if request["stopped_by"] != "csp"
        ]
        return sorted(
            {url.geturl() for url in asked if url.scheme.startswith("http") and url.netloc != host}
        )

    def _note(self, message: dict[str, Any]) -> None:
        what, told = message.get("method"), message.get("params", {})
        if what == "Network.requestWillBeSent":
            self.requests[told["requestId"]] = told["request"] | {
                "status": None,
                "stopped_by": None,
            }
        elif what == "Network.responseReceived" and told["requestId"] in self.requests:
            self.requests[told["requestId"]]["status"] = told["response"]["status"]
        elif what == "Network.loadingFailed" and told["requestId"] in self.requests:
            self.requests[told["requestId"]]["stopped_by"] = told.get("blockedReason")
        elif what == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif what == "Runtime.consoleAPICalled" and told["type"] in ERROR_LEVELS:
            self.errors.append(" ".join(str(a.get("value", "…")) for a in told["args"]))
        elif what == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.errors.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")


@contextlib.contextmanager
def browser_page() -> Iterator[Page]:
    """A fresh Chromium with one tab.

    Raises:
        ChromiumError: no Chromium on this machine.
    """
    program = str(find_chromium())
    with tempfile.TemporaryDirectory(prefix="nq42-browser-", ignore_cleanup_errors=True) as home:
        profile = Path(home)
        with (
            (profile / "log").open("wb") as log,
            subprocess.Popen(
                [program, *FLAGS, f"--user-data-dir={home}", "about:blank"],
                stdout=log,
                stderr=log,
                env={**os.environ, "HOME": home, "TZ": "Asia/Ho_Chi_Minh"},
            ) as process,
        ):
            try:
                port = _port(profile, process)
                tabs = httpx.get(f"http://127.0.0.1:{port}/json", trust_env=False).json()
                address = next(t["webSocketDebuggerUrl"] for t in tabs if t["type"] == "page")
                with connect(address, max_size=None, proxy=None) as socket:
                    yield Page(socket)
            finally:
                process.terminate()


def _port(profile: Path, process: subprocess.Popen[bytes]) -> int:
    """The port that Chromium chose; it writes it down when it listens."""
    file, deadline = profile / "DevToolsActivePort", time.monotonic() + START_SECONDS
    while not file.exists() or not file.read_text().strip():
        assert process.poll() is None, (profile / "log").read_text(errors="replace")[-2000:]
        assert time.monotonic() < deadline, "Chromium does not listen"
        time.sleep(0.1)
    return int(file.read_text().split()[0])
