"""A mail server and a webhook on loopback that keep what they are sent: the outside network."""

from __future__ import annotations

import email
import email.policy
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class _Mail(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self._say("220 test")
        while line := self.rfile.readline().decode().strip():
            verb = line.split()[0].upper()
            if verb == "DATA":
                self._say("354 go on")
                lines = iter(self.rfile.readline, b".\r\n")
                content = b"".join(each.removeprefix(b".") for each in lines)
                self.server.received.append(  # type: ignore[attr-defined]
                    email.message_from_bytes(content, policy=email.policy.default)
                )
            if verb == "QUIT":
                self._say("221 bye")
                return
            self._say("250 ok")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(json.loads(content))  # type: ignore[attr-defined]
        self.send_response(500 if self.path == "/broken" else 204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Tests need no access log."""


@contextmanager
def _serve(server: socketserver.TCPServer) -> Iterator[int]:
    server.received = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def mail_server() -> Iterator[tuple[int, list[EmailMessage]]]:
    """Port, and the messages that have come in."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mail)
    with _serve(server) as port:
        yield port, server.received  # type: ignore[attr-defined]


@contextmanager
def webhook() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Port, and the documents that have come in; the path /broken answers with an error."""
    server = HTTPServer(("127.0.0.1", 0), _Hook)
    with _serve(server) as port:
        yield port, server.received  # type: ignore[attr-defined]
