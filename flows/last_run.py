"""What the last run of a pipeline left behind: its page, written anew, and the cards of its models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flows.run import public_address
from sorigil.errors import RequestError
from storage import files
from storage.catalog import Catalog
from storage.layout import Store
from tasks.card import model_card, study_card
from tasks.report import write_report


def rewrite_report(config: Any, name: str) -> str:
    """The last run's page, made anew from the store."""
    config.pipeline(name)
    store = config.storage.store().open()
    result = last_result(store, name)
    if result is None:
        raise RequestError(f"{name} has not run yet in {public_address(store.root)}; `sorigil run {name}` does")
    return write_report(store, Catalog(store.catalog, store.root), result, result["score_keys"])


def card_text(config: Any, name: str, entry: str = "") -> str:
    """The card of what the last run made of a train entry: of its model or, where it has folds, of its models."""
    pipeline = config.pipeline(name)
    store = config.storage.store().open()
    result = last_result(store, name) or {"models": {}}
    models, studies = result["models"], {study["run"]: study for study in result.get("studies", ())}
    made = [*models, *(each for each in studies if each not in models)]
    if not made:
        raise RequestError(f"no model came of the last run of {name}; `sorigil run {name}` makes what it trains")
    if entry and entry not in made:
        raise RequestError(f"the last run of {name} has no model {entry!r}; there are {', '.join(made)}")
    entry = entry or next((each.name for each in pipeline.train if each.name in made), made[0])
    if entry in models:
        return model_card(store, models[entry], result["score_keys"].get(entry, ()), config.licences())
    return study_card(store, studies[entry], config.licences())


def last_result(store: Store, name: str) -> dict[str, Any] | None:
    """The newest run of a pipeline that got as far as a version."""
    return next((result for result in results(store) if result["pipeline"] == name and result["version"]), None)


def results(store: Store) -> Iterator[dict[str, Any]]:
    """What the runs in the store came to, the newest first."""
    folder = store.path("runs")
    if not files.is_url(folder) and not files.exists(folder):
        return
    found = sorted((entry.uri for entry in files.walk(folder) if entry.uri.endswith("/result.json")), reverse=True)
    yield from (files.read_json(uri) for uri in found)
