"""A real S3-protocol server in this process, with faults on request: moto's, behind a layer that counts and spoils."""

from __future__ import annotations

import socket
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Spoiler = Callable[[dict[str, Any]], str | None]

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "very-secret", "AWS_REGION": "us-east-1"}


@dataclass
class S3Server:
    """`spoil` decides on each request: None (let it pass), "error" (503), "torn" (the connection drops while the client
    still sends, or waits), "slow" (it is answered, a second later), "hang" (it is accepted and never answered)."""

    app: Wsgi
    url: str = ""
    spoil: Spoiler = lambda request: None
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)  # (method, path)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __call__(self, request: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method, path = request["REQUEST_METHOD"], request["PATH_INFO"]
        self.seen[method, path] += 1
        fault = self.spoil(request)
        if fault == "error":
            start("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", "0")])
            return []
        if fault == "slow":
            self.stopped.wait(1)
        if fault == "hang":
            self.stopped.wait()
        if fault in ("torn", "hang"):
            request["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError("torn by the test")
        return self.app(request, start)

    def gets(self, ending: str) -> dict[str, int]:
        """How often each object whose name ends so was read."""
        return {path: n for (method, path), n in sorted(self.seen.items()) if method == "GET" and path.endswith(ending)}


@contextmanager
def s3_server() -> Iterator[S3Server]:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *_: Any) -> None: ...

    server = S3Server(DomainDispatcherApplication(create_backend_app))
    listening = make_server("127.0.0.1", 0, server, threaded=True, request_handler=Quiet)  # type: ignore[arg-type]
    server.url = f"http://127.0.0.1:{listening.port}"
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    try:
        urllib.request.urlopen(urllib.request.Request(f"{server.url}/moto-api/reset", method="POST")).close()
        server.seen.clear()
        yield server
    finally:
        server.stopped.set()
        listening.shutdown()
        thread.join()
