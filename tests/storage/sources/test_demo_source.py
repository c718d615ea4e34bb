"""The demo corpus is made once, made again where it was cut off or another is asked for, and read like any manifest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sorigil.demo.corpus import DemoSpec
from storage.sources import DemoSource, demo, scan


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of the corpora that were made; the synthesis itself has its own tests."""
    seeds: list[int] = []

    def make(source: DemoSource) -> None:
        seeds.append(source.corpus.seed)
        folder = Path(source.uri)
        (folder / "audio").mkdir(parents=True, exist_ok=True)
        (folder / "audio" / "x.wav").write_bytes(b"x")
        (folder / "manifest.jsonl").write_text(
            json.dumps({"id": str(source.corpus.seed), "audio": "audio/x.wav"}) + "\n"
        )

    monkeypatch.setattr(demo, "_make", make)
    return seeds


@pytest.fixture
def ids(tmp_path: Path) -> Callable[[int], list[str]]:
    def scanned(seed: int) -> list[str]:
        found: list[str] = (
            scan(DemoSource(uri=str(tmp_path / "demo"), corpus=DemoSpec(seed=seed))).column("id").to_pylist()
        )
        return found

    return scanned


def test_a_corpus_is_made_once(made: list[int], ids: Callable[[int], list[str]]) -> None:
    assert ids(1) == ids(1) == ["1"] and made == [1]
    assert ids(2) == ids(2) == ["2"] and made == [1, 2]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_corpus_cut_off_in_the_making_is_made_again(
    made: list[int], ids: Callable[[int], list[str]], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Also the one that was there before: half of its files are those of the other by now."""
    ids(1)

    def killed(source: DemoSource) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(demo, "_make", killed)
        with pytest.raises(KeyboardInterrupt):
            ids(2)
    ids(seed)
    assert made == [1, seed]
