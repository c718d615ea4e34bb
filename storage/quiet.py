"""Nothing phones home: every dependency's telemetry is off unless the user's environment says otherwise.

Imported before Arrow, Prefect and MLflow are; a value that is set already stays.
"""

from __future__ import annotations

import os
import sys

SETTINGS = {
    "OMP_WAIT_POLICY": "PASSIVE",  # a waiting thread of torch gives its processor to the loader and to other programs
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # a dead tracking server is told in seconds, not in minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",  # our own reporter speaks to the user …
    "PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_LEVEL": "INFO",  # … and the Prefect run keeps what was said
    "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "INFO",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # a busy machine is slow, not broken
}

if sys.platform == "linux":  # elsewhere Arrow may lack it. It gives back within a second what was freed: a quarter less
    SETTINGS["ARROW_DEFAULT_MEMORY_POOL"] = "jemalloc"


def be_quiet() -> None:
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
