"""Servers of other people's making (MLflow's, Prefect's) as subprocesses of ours: started, waited for, stopped whole.

A server gets a session of its own, so that everything it starts can be ended with it; what it last said is kept for the
day it dies. It listens where it is told to and nowhere else. Which servers there are is in `server_kinds`.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psutil

from flows.ports import address, reachable
from sorigil.errors import RunError
from storage.quiet import SETTINGS

START_SECONDS = 120.0  # a first start makes the database's tables; a small machine under load takes its time
STOP_SECONDS = 10.0
HEALTH_SECONDS = 0.05  # between two questions whether it is ready
LAST_WORDS = 15  # lines of a dead server's output that are repeated to the user

# The session's leader is a shell that also ends the server when our end of its pipe closes: even SIGKILL closes it.
_GUARD = """exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ cat <&3 >/dev/null; kill -TERM 0; } &
wait $server"""


@dataclass(kw_only=True)
class Server:
    """One server process and all that it starts. Use it as a context: it is gone afterwards, whatever happened."""

    name: str
    command: Sequence[str]
    host: str
    port: int
    health: str  # the path that answers 200 when the server is ready
    environment: Mapping[str, str] = field(default_factory=dict)
    without: Sequence[str] = ()  # variables of ours that it must not see
    reserved: socket.socket | None = None  # keeps its port from others until it has it
    _process: subprocess.Popen[bytes] | None = None
    _said: deque[str] = field(default_factory=lambda: deque(maxlen=200))
    _listener: threading.Thread | None = None

    @property
    def address(self) -> str:
        return address(self.host, self.port)

    @property
    def pid(self) -> int:
        """The leader's, and so the number of its session and group."""
        return self._process.pid if self._process is not None else 0

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it; `wait_until_healthy` says when it can be used."""
        environment = {**SETTINGS, **os.environ, **self.environment}
        for name in self.without:
            environment.pop(name, None)
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "sh", *self.command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, name=f"{self.name} output", daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout:
            self._said.append(line.decode(errors="replace").rstrip())

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def is_healthy(self) -> bool:
        """Whether it answers. Asks without any proxy that the environment may name."""
        connection = http.client.HTTPConnection(reachable(self.host), self.port, timeout=2)
        try:
            connection.request("GET", self.health, headers={"Host": f"localhost:{self.port}"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait_until_healthy(self, stop: threading.Event | None = None, seconds: float = START_SECONDS) -> bool:
        """Wait until it answers; False when `stop` was set first.

        Raises:
            RunError: it died, with its last words, or did not answer in time.
        """
        stop = stop or threading.Event()
        deadline = time.monotonic() + seconds
        while not self.is_healthy():
            if not self.is_running():
                raise RunError(f"{self.name} could not be started. {self.last_words()}")
            if time.monotonic() > deadline:
                raise RunError(f"{self.name} did not answer at {self.address} in {seconds:.0f} s. {self.last_words()}")
            if stop.wait(HEALTH_SECONDS):
                return False
        return True

    def last_words(self) -> str:
        """The end of what it wrote, for whoever must find out why it died."""
        if self._listener is not None:
            self._listener.join(1.0)
        lines = [line for line in self._said if line.strip()][-LAST_WORDS:]
        return "\n  ".join(["Its last words:", *lines]) if lines else "It said nothing."

    def ask_to_stop(self) -> None:
        """Have it begin to end itself, while there is something else to do before `stop`."""
        if self._process is not None:
            self._signal(signal.SIGTERM)

    def stop(self) -> None:
        """End it and everything that it started: asked first, then made to."""
        if self._process is None:
            return
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self._wait_for_group(STOP_SECONDS if self._process.returncode is not None else 0.0)
        self._signal(signal.SIGKILL)
        self._process.wait()
        for each in (self._process.stdin, self.reserved):
            if each is not None:
                each.close()
        if self._listener is not None:
            self._listener.join(1.0)

    def _wait_for_group(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._signal(0) and _somebody_lives(self.pid) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _signal(self, number: int) -> bool:
        """Send to all of the group; False where nobody is left in it."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):  # the second is what macOS says of a group of zombies
            return False
        return True


def _somebody_lives(group: int) -> bool:
    """Whether a process of the group still runs. In a container nobody may remove the zombies of those who ended."""
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getpgid(pid) == group and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                return True
    return False
