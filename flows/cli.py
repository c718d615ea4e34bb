"""The command line, `sorigil`: verbs, their options, exit codes. The work is in the modules the verbs import.

Kept light: `sorigil --help` must answer in half a second, and every Dask worker imports this module again. Exit codes:
0 done, 1 the run failed, 2 the request was wrong, 130 interrupted.
"""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any

import typer

from flows import (
    cli_align,
    cli_card,
    cli_errors,
    cli_evaluate,
    cli_export,
    cli_find_lr,
    cli_models,
    cli_normalize,
    cli_score,
    cli_tune,
    cli_upkeep,
    interrupt,
)
from flows.cli_options import DEFAULT, File, Json, Limit, Local, Name, Reason, Set, Version, load, print_json, run_steps
from sorigil import __version__
from sorigil.errors import SorigilError, place_failed

INTERRUPTED = 130  # the exit code
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
versions_app = typer.Typer(no_args_is_help=True, help="The versions of a dataset.")
quarantine_app = typer.Typer(no_args_is_help=True, help="What was rejected, and why.")
app.add_typer(versions_app, name="versions")
app.add_typer(quarantine_app, name="quarantine")


def main() -> None:
    """The entry point: errors of the user's become a sentence and an exit code."""
    interrupt.listen()
    gc.set_threshold(50_000, 20, 100)  # a tenth of a short run went into looking through what imports leave
    try:
        code = app(standalone_mode=False)  # what raised typer.Exit comes back as its code, an interrupt as 130
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        sys.exit(code if isinstance(code, int) else 0)
    except SorigilError as wrong:
        _fail(str(wrong), wrong.exit_code, getattr(wrong, "problems", ()))
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted; what was finished is kept, run again to go on", INTERRUPTED)
    except OSError as wrong:
        _fail(str(place_failed(wrong)), 1)
    except Exception as wrong:
        if hasattr(wrong, "format_message") and hasattr(wrong, "exit_code"):  # typer's own: a mistyped option
            _fail(wrong.format_message(), 2)
        if "--json" in sys.argv:
            traceback.print_exc()
            _fail(f"{type(wrong).__name__}: {wrong}", 1)
        raise
    finally:
        gc.freeze()  # all ends with the process: half a second of taking it apart is saved


def _fail(message: str, code: int, problems: Any = ()) -> None:
    """Say what is wrong and leave. With `--json` each of several problems is an error of its own."""
    print(f"sorigil: {message}", file=sys.stderr)
    if "--json" in sys.argv:
        status = "interrupted" if code == INTERRUPTED else "failed"
        errors = [{"stage": "request", "message": str(each)} for each in problems or (message,)]
        print_json({"schema": 1, "status": status, "errors": errors})
    sys.exit(code)


def _steps_verb(*steps: str) -> Callable[..., None]:
    """A verb that runs some steps of a pipeline."""

    def verb(
        name: Name, file: File = DEFAULT, set: Set = None, limit: Limit = None, local: Local = False, json: Json = False
    ) -> None:
        run_steps(load(file, set, name), name, local, json, limit=limit, steps=steps)

    return verb


ALL_STEPS = ("ingest", "prepare", "train", "evaluate", "transcribe", "report")
app.command("run", help="The whole road: ingest, prepare, train, evaluate, transcribe, report.")(
    _steps_verb(*ALL_STEPS)
)
app.command("prepare", help="Ingest, prepare and compute features; commit a version.")(_steps_verb("ingest", "prepare"))
app.command("train", help="Train the models on the latest version.")(_steps_verb("train", "report"))
app.command("transcribe", help="Transcribe the pipeline's archive.")(_steps_verb("transcribe"))


@app.command()
def ingest(name: Name, file: File = DEFAULT, set: Set = None, limit: Limit = None, json: Json = False) -> None:
    """Scan the source and say what is there, without opening any audio."""
    check(name, file, set, limit, json)


@app.command()
def check(name: Name = "", file: File = DEFAULT, set: Set = None, limit: Limit = None, json: Json = False) -> None:
    """Check the file; with a pipeline's name, say what a run would do and why."""
    config = load(file, set, name or None)
    if not name:
        said = {
            "schema": 1,
            "status": "completed",
            "file": str(file),
            "pipelines": list(config.pipelines),
            "errors": [],
        }
        if json:
            print_json(said)
        else:
            print(f"{file}: no mistakes; pipelines: {', '.join(config.pipelines)}")
        return
    from flows.check import describe, plan_summary

    found = plan_summary(config, name, limit)
    if json:
        print_json(found)
    else:
        print(describe(found))


@app.command()
def serve(
    names: Annotated[
        list[str] | None, typer.Argument(help="the pipelines; all with a schedule where none is given")
    ] = None,
    file: File = DEFAULT,
) -> None:
    """Run pipelines by their schedules until stopped."""
    from storage.quiet import be_quiet

    be_quiet()
    config = load(file, None)
    from flows.serve import serve as run_server

    raise typer.Exit(run_server(config, file, names or None))


@app.command()
def dashboard(
    file: File = DEFAULT,
    host: Annotated[str, typer.Option(help="where to listen; there is no login")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="of the MLflow pages; 5000 or the next free one")] = None,
    prefect: Annotated[bool, typer.Option("--prefect", help="Prefect's pages too")] = False,
    prefect_port: Annotated[int | None, typer.Option(help="of the Prefect pages; 4200 or the next free one")] = None,
) -> None:
    """Experiments, curves and models in the browser (MLflow; Prefect's runs with --prefect)."""
    from storage.quiet import be_quiet

    be_quiet()
    from flows.dashboard import dashboard as show

    store = load(file, None).storage.store().open()
    raise typer.Exit(show(store, host=host, mlflow_port=port, prefect=prefect, prefect_port=prefect_port))


@app.command()
def report(name: Name, file: File = DEFAULT, set: Set = None, json: Json = False) -> None:
    """Write the page of the pipeline's last run anew and say where it is."""
    config = load(file, set, name)
    from flows.last_run import rewrite_report

    place = rewrite_report(config, name)
    if json:
        print_json({"schema": 1, "status": "completed", "errors": [], "report": place})
    else:
        print(place)


@app.command()
def schema() -> None:
    """The JSON Schema of pipelines.yaml, for editors."""
    from flows import config

    print_json(config.json_schema())


@versions_app.command("list")
def versions_list(name: Name, file: File = DEFAULT, set: Set = None, json: Json = False) -> None:
    """Every version: when it was made, what is in it, its tags."""
    from flows.pages import version_rows, version_table

    rows = version_rows(load(file, set, name), name)
    if json:
        print_json({"schema": 1, "status": "completed", "errors": [], "versions": rows})
    else:
        print(version_table(rows))


@versions_app.command("show")
def versions_show(
    name: Name, version: Version = None, file: File = DEFAULT, set: Set = None, json: Json = False
) -> None:
    """One version: its books and what it was made by."""
    from flows.pages import show_version, version_text

    found = show_version(load(file, set, name), name, version)
    if json:
        print_json({"schema": 1, "status": "completed", "errors": [], "version": found})
    else:
        print(version_text(found))


@versions_app.command("diff")
def versions_diff(name: Name, old: str, new: str, file: File = DEFAULT, set: Set = None, json: Json = False) -> None:
    """What came, went, changed and was relabelled between two versions."""
    from flows.pages import diff_text, diff_versions

    found = diff_versions(load(file, set, name), name, old, new)
    if json:
        print_json({"schema": 1, "status": "completed", "errors": [], "diff": found})
    else:
        print(diff_text(found))


@versions_app.command("tag")
def versions_tag(name: Name, version: str, tag: str, file: File = DEFAULT, set: Set = None) -> None:
    """Give a version a name that keeps it."""
    from flows.pages import tag_version

    tag_version(load(file, set, name), name, version, tag)
    print(f"{name}: {version} is called {tag} now")


@quarantine_app.command("list")
def quarantine_list(
    name: Name,
    reason: Reason = None,
    version: Version = None,
    file: File = DEFAULT,
    set: Set = None,
    json: Json = False,
) -> None:
    """Every rejected, filtered, duplicate and vanished item with its reason."""
    from flows.pages import quarantine_rows, quarantine_table

    rows = quarantine_rows(load(file, set, name), name, version, reason)
    if json:
        print_json({"schema": 1, "status": "completed", "errors": [], "quarantine": rows, "total": len(rows)})
    else:
        print(quarantine_table(rows))


@quarantine_app.command("retry")
def quarantine_retry(
    name: Name, file: File = DEFAULT, set: Set = None, local: Local = False, json: Json = False
) -> None:
    """Try the rejected items again (a decoder was installed, a disk came back) and commit what changed."""
    run_steps(load(file, set, name), name, local, json, steps=("ingest", "prepare"), retry=True)


@app.callback(invoke_without_command=True)
def about(version: Annotated[bool, typer.Option("--version", help="say which version this is")] = False) -> None:
    """Sorigil: audio in; versioned features, models, transcripts and scores out."""
    if version:
        print(f"sorigil {__version__}")
        raise typer.Exit()


cli_upkeep.register(app, versions_app)
cli_align.register(app)
cli_card.register(app)
cli_errors.register(app)
cli_evaluate.register(app)
cli_export.register(app)
cli_find_lr.register(app)
cli_tune.register(app)
cli_models.register(app)
cli_normalize.register(app)
cli_score.register(app)

if __name__ == "__main__":
    main()
