"""Servers of other people's making (MLflow's, Prefect's) as subprocesses of ours: started, waited for, stopped whole.

A server gets a session of its own, so that everything it starts can be ended with it; what it last said is kept for the
day it dies. It listens where it is told to and nowhere else. What is served by which command is told here too, because
`dashboard`, `serve` and every run need Prefect's.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import psutil

from sorigil.errors import RequestError, RunError
from storage.quiet import SETTINGS

LOOPBACK = "127.0.0.1"
PREFECT_PORT = 4200
START_SECONDS = 120.0  # a first start makes the database's tables; a small machine under load takes its time
STOP_SECONDS = 10.0
HEALTH_SECONDS = 0.05  # between two questions whether it is ready
LAST_WORDS = 15  # lines of a dead server's output that are repeated to the user
PORTS_TRIED = 50

# The session's leader is a shell that also ends the server when our end of its pipe closes: even SIGKILL closes it.
_GUARD = """exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ cat <&3 >/dev/null; kill -TERM 0; } &
wait $server"""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def address(host: str, port: int) -> str:
    """The http address to open in a browser on this machine, or from elsewhere where it can be reached from there."""
    named = socket.gethostname() if host in ("0.0.0.0", "::") else host
    return f"http://[{named}]:{port}" if ":" in named else f"http://{named}:{port}"


def port_is_free(host: str, port: int) -> bool:
    """Whether a server may listen there, and nobody answers there already (on some systems both can be)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe, contextlib.suppress(OSError):
        probe.settimeout(1.0)
        if probe.connect_ex((_reachable(host), port)) == 0:
            return False
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _reachable(host: str) -> str:
    """The address at which this machine reaches what listens on `host`."""
    return {"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)


def choose_port(host: str, asked: int | None, usual: int, say: Callable[[str], None], what: str) -> int:
    """The port that was asked for, or else the usual one, or the next free one after it.

    Raises:
        RequestError: the port that was asked for is taken, or the host is not one of this machine's.
    """
    _check_host(host)
    if asked is not None:
        if not 0 < asked < 65536:
            raise RequestError(f"{what}: the port is {asked}; it must be within 1 to 65535")
        if not port_is_free(host, asked):
            raise RequestError(f"{what}: port {asked} of {host} is taken or not allowed; name another one")
        return asked
    for port in range(usual, usual + PORTS_TRIED):
        if port_is_free(host, port):
            if port != usual:
                say(f"{what}: port {usual} is taken, {port} is used instead")
            return port
    raise RequestError(f"{what}: no port of {host} from {usual} to {usual + PORTS_TRIED - 1} is free; name another one")


def _check_host(host: str) -> None:
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.bind((host, 0))
    except OSError as error:
        raise RequestError(f"host is {host!r}, which is no address of this machine ({error.strerror})") from None


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
        connection = http.client.HTTPConnection(_reachable(self.host), self.port, timeout=2)
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


def prefect_server(host: str, port: int) -> Server:
    """Prefect's server with its page, on the database of the user's own Prefect home."""
    return Server(
        name="the Prefect server",
        command=[sys.executable, "-m", "prefect", "server", "start", "--host", host, "--port", str(port)],
        host=host,
        port=port,
        health="/api/health",
        environment={
            "PREFECT_SERVER_API_HOST": host,
            "PREFECT_SERVER_API_PORT": str(port),  # the page calls the usual port without it
            "PREFECT_UI_API_URL": f"{address(host, port)}/api",
            "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
            # Who holds a deployment's only place outlives the server, and so does the moment at which it is given back.
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        },
        without=["PREFECT_API_URL"],
    )


def run_server() -> Server:
    """Prefect's API for a single run, on a free port of loopback; its history goes to the user's own Prefect home."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind((LOOPBACK, 0))
    port = reserved.getsockname()[1]
    return Server(
        name="the Prefect server of this run",
        command=[sys.executable, "-P", str(Path(__file__).with_name("prefect_api.py")), str(port)],
        host=LOOPBACK,
        port=port,
        health="/api/health",
        environment={"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1"},
        without=["PREFECT_API_URL"],
        reserved=reserved,
    )


@contextlib.contextmanager
def termination_sets(stop: threading.Event) -> Iterator[None]:
    """Within this, SIGINT and SIGTERM set `stop` instead of ending the process. In another thread it changes nothing."""

    def note(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def offspring() -> list[psutil.Process]:
    """Every process that descends from this one, but for what a `Server` started and will end itself."""
    mine = os.getsid(0)
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == mine:
                found.append(process)
    return found


def end_processes(processes: Iterable[psutil.Process]) -> None:
    """End whichever of these still live: asked first, then made to."""
    living = [process for process in processes if process.is_running()]
    for process in living:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, living = psutil.wait_procs(living, timeout=STOP_SECONDS)
    for process in living:
        with contextlib.suppress(psutil.Error):
            process.kill()
