"""A page in headless Chromium: a driver script sees what a person would, beside it what the browser complains of."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SECONDS = 120  # of a machine that is busy with other things

OUTER = """<!DOCTYPE html><meta charset="utf-8"><body><script>
"use strict";
const PAGES = %(pages)s;
function opened(name, {width = 1280, scripts = true} = {}) {
  const frame = document.createElement("iframe");
  frame.style = `width: ${width}px; height: 900px; border: 0`;
  if (!scripts) frame.sandbox = "allow-same-origin";
  frame.srcdoc = PAGES[name];
  return new Promise((loaded) => { frame.onload = () => loaded(frame); document.body.append(frame); });
}
const tell = (found) => { console.log("told"); fetch("/", {method: "POST", body: JSON.stringify(found)}); };
(async () => { %(script)s })().then(tell, (wrong) => tell({wrong: String(wrong)}));
</script>"""


def see(pages: Mapping[str, str], script: str, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return what the script told, and what stood in the browser's console meanwhile.

    The script is the body of an async function; `await opened(name, {width, scripts})` gives it a frame with a page, whose
    own content policy holds there. Its `contentDocument` can be looked at and clicked, and what is returned is told.
    """
    outer = OUTER % {"pages": json.dumps(dict(pages)).replace("<", "\\u003c"), "script": script}
    log = folder / "log"
    with _serving(outer) as (address, answers), _browsing(address, folder / "profile", log):
        try:
            found: dict[str, Any] = json.loads(answers.get(timeout=SECONDS))
        except queue.Empty:
            raise AssertionError(f"no answer in {SECONDS} s:\n{log.read_text(errors='replace')[-2000:]}") from None
        console = _console(log)
    assert "wrong" not in found, (found["wrong"], console)
    return found, console


def _console(log: Path) -> list[str]:
    """What was said before the script told; it is written behind its time."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        lines = re.findall(r":CONSOLE[:(]\d+\)?\] \"(.*)\", source: ", log.read_text(errors="replace"))
        if "told" in lines:
            return [line for line in lines if line != "told"]
        time.sleep(0.1)
    raise AssertionError(f"nothing was told on the console:\n{log.read_text(errors='replace')[-2000:]}")


@contextmanager
def _serving(outer: str) -> Iterator[tuple[str, queue.Queue[bytes]]]:
    """The outer page at an address of this machine, and what is posted to it."""
    answers: queue.Queue[bytes] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(200 if self.path == "/" else 204, outer.encode() if self.path == "/" else b"")

        def do_POST(self) -> None:
            answers.put(self.rfile.read(int(self.headers["Content-Length"])))
            self._reply(200, b"")

        def _reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Not on the tests' output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", answers
        server.shutdown()


@contextmanager
def _browsing(address: str, profile: Path, log: Path) -> Iterator[None]:
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*command, "--enable-logging=stderr", address], stderr=errors, start_new_session=True
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
