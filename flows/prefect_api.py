"""The program of a run's own Prefect server (`server_kinds.run_server`): Prefect's API on one port of loopback, no page.

What Prefect starts for a flow where no server is configured, but started when we want it, and sooner ready. It is run by
its path and imports nothing of ours: a folder of data may have the name of one of our packages.
"""

from __future__ import annotations

import gc
import socket
import sys


def main(port: int) -> None:
    gc.disable()  # a fifth of the start, for thousands of classes that are here to stay
    from prefect.settings import PREFECT_API_URL

    if PREFECT_API_URL.value():  # of the user's profile: the run talks to that one
        return
    import uvicorn
    from prefect.server.api.server import create_app

    app = create_app(ephemeral=True, final=True)
    gc.freeze()
    gc.enable()
    options = uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=2)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # the run has bound it, to keep it for us
        listener.bind(("127.0.0.1", port))
        uvicorn.Server(options).run(sockets=[listener])


if __name__ == "__main__":
    main(int(sys.argv[1]))
