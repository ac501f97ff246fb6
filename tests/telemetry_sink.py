"""A real HTTP server that keeps what lineage and metrics clients send to it."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)


@dataclass
class Sink:
    """What arrived, as path and body, in the order of arrival."""

    url: str = ""
    received: list[tuple[str, bytes]] = field(default_factory=list)

    def lineage(self) -> list[dict[str, Any]]:
        """The OpenLineage events."""
        return [json.loads(body) for path, body in self.received if path == "/api/v1/lineage"]

    def metrics(self) -> set[str]:
        """Names of the OpenTelemetry metrics."""
        names = set()
        for path, body in self.received:
            if path == "/v1/metrics":
                request = ExportMetricsServiceRequest.FromString(body)
                for resource in request.resource_metrics:
                    for scope in resource.scope_metrics:
                        names |= {metric.name for metric in scope.metrics}
        return names


@contextmanager
def telemetry_sink() -> Iterator[Sink]:
    """A server on a free port of loopback."""
    sink = Sink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            sink.received.append((self.path, body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sink.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
