"""The documents held against the code: what they name exists, what they list is complete, what they show runs."""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq
import pytest
from conftest import World
from ruamel.yaml import YAML

from flows import config as configuration
from flows.config import Config
from flows.config.specs import spec_names
from flows.run import RESULT_SCHEMA, Run
from sorigil import transcripts
from sorigil.alignment import formats
from sorigil.audio.spec import AudioSpec
from sorigil.features import LogMel
from sorigil.fingerprint import digest, fingerprint
from storage import ledger, tables
from storage.dataset import StoredRows, open_dataset
from tasks.evaluate_job import Scored
from tasks.units import feature_spec_key

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PACKAGES = ("flows", "tasks", "storage", "sorigil")
DATA_FORMAT, JOURNEY, PIPELINES = (ROOT / f"docs/{name}.md" for name in ("data-format", "journey", "pipelines"))

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


# -- names ---------------------------------------------------------------------------------------------------------------


@cache
def names_in(path: Path) -> dict[str, dict[str, Any]]:
    """The names a module defines or imports, each with those inside it; read without importing anything."""
    return _names(ast.parse(path.read_text(encoding="utf-8")).body)


def _names(body: list[ast.stmt]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = _names(node.body) if isinstance(node, ast.ClassDef) else {}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(each.asname or each.name): {} for each in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                each = target.elts if isinstance(target, ast.Tuple) else [target]
                found |= {name.id: {} for name in each if isinstance(name, ast.Name)}
        elif isinstance(node, ast.If | ast.With | ast.Try):
            found |= _names(node.body)
    return found


def module_file(module: str) -> Path | None:
    place = ROOT / module.replace(".", "/")
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def wrong_reference(module: str, dotted: str) -> str | None:
    path = module_file(module)
    if path is None:
        return f"there is no module {module}"
    names = names_in(path)
    for name in dotted.split("."):
        if name not in names:
            return f"{module} has no {dotted}"
        names = names[name]
    return None


@by_page
def test_every_function_that_is_named_exists(page: Path) -> None:
    reference = re.compile(rf"\b((?:{'|'.join(PACKAGES)})(?:\.\w+)*):([A-Za-z_][\w.]*\w)")
    found = reference.findall(text_of(page))
    assert found or page.name != "journey.md"
    assert [wrong for module, dotted in found if (wrong := wrong_reference(module, dotted))] == []


@by_page
def test_every_python_file_that_is_named_exists(page: Path) -> None:
    """Those with a folder, from the root; `your_….py` and `test_your_….py` are for the reader to write."""
    named = set(re.findall(r"(?<![\w./-])((?:[\w-]+/)+[\w-]+\.py)\b", text_of(page)))
    assert sorted(name for name in named if "your_" not in name and not (ROOT / name).is_file()) == []


def anchor(heading: str) -> str:
    """GitHub's address of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@by_page
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, part = target.partition("#")
        goal = (page.parent / place).resolve() if place else page
        headings = re.findall(r"^#+ (.+)$", text_of(goal), re.M) if goal.suffix == ".md" and goal.is_file() else []
        if not goal.exists() or (part and part not in map(anchor, headings)):
            broken.append(target)
    assert broken == []


@by_page
def test_no_machine_is_in_the_documents(page: Path) -> None:
    assert re.findall(r"(?<![\w.])/(?:work|root|home|tmp)/\S*", text_of(page)) == []


# -- pieces of a page ----------------------------------------------------------------------------------------------------


def sections(page: Path) -> Iterator[tuple[str, str]]:
    """Each heading with the text up to the next one. A heading inside a code block is none."""
    pieces = re.split(r"^(#+ .+)$", re.sub(r"^```.*?^```", "", text_of(page), flags=re.M | re.S), flags=re.M)
    yield from zip(pieces[1::2], pieces[2::2], strict=True)


def rows(text: str) -> list[list[str]]:
    """The body rows of the tables in a text."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if line.startswith("|") and not set(line) <= set("|- "):
            found.append(cells)
    return found


def table_under(page: Path, heading: str) -> list[list[str]]:
    """The body of the first table under a heading."""
    text = next(text for title, text in sections(page) if title.lstrip("# ") == heading)
    return rows(text[text.index("\n|") :].strip().split("\n\n")[0])[1:]


def code(page: Path, first_line: str) -> str:
    """The code block that begins with this line."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text_of(page), re.M | re.S)
    return next(block for block in blocks if block.startswith(first_line))


# -- pipelines.yaml ------------------------------------------------------------------------------------------------------


def specs_below(cls: type[Any], found: dict[str, type[Any]]) -> dict[str, type[Any]]:
    """Every dataclass that a configuration can hold."""
    found[cls.__name__] = cls
    hints = typing.get_type_hints(cls, localns=spec_names())
    for field in dataclasses.fields(cls):
        for each in leaves(hints[field.name]):
            if dataclasses.is_dataclass(each) and each.__name__ not in found:
                specs_below(typing.cast("type[Any]", each), found)
    return found


def leaves(hint: Any) -> Iterator[Any]:
    args = typing.get_args(hint)
    if typing.get_origin(hint) is Literal or not args:
        yield hint
    for each in args if typing.get_origin(hint) is not Literal else ():
        yield from leaves(each)


SPECS = specs_below(Config, {})


def keys_of(spec: type[Any]) -> dict[str, dataclasses.Field[Any]]:
    return {
        each.name: each
        for each in dataclasses.fields(spec)
        if "hidden" not in each.metadata and "flat" not in each.metadata
    }


def documented() -> dict[str, dict[str, list[str]]]:
    """Of each spec, its keys' rows (of four cells), in every section that has its name in the heading."""
    found: dict[str, dict[str, list[str]]] = {name: {} for name in SPECS}
    for heading, text in sections(PIPELINES):
        for name in re.findall(r"`(\w+)`", heading):
            if name in found:
                found[name] |= {row[0].strip("`"): row for row in rows(text) if len(row) == 4 and row[0] != "key"}
    return found


@pytest.mark.parametrize("name", SPECS)
def test_every_key_of_the_configuration_is_in_the_reference(name: str) -> None:
    assert sorted(documented()[name]) == sorted(keys_of(SPECS[name]))


def default_cells() -> Iterator[Any]:
    for name, spec in SPECS.items():
        for key, field in keys_of(spec).items():
            yield pytest.param(spec, field, id=f"{name}.{key}")


@pytest.mark.parametrize(("spec", "field"), default_cells())
def test_the_defaults_in_the_reference_are_those_of_the_code(spec: type[Any], field: dataclasses.Field[Any]) -> None:
    cell = documented()[spec.__name__][field.name][2]
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
        assert cell == "required"
        return
    made = field.default_factory is not dataclasses.MISSING
    default = field.default_factory() if made else field.default  # type: ignore[misc]
    if not re.fullmatch(r"`[^`]*`", cell):  # words: what stands in for a key that is not given
        assert cell not in ("", "required")
        assert default in ("", None) or field.name in ("kind", "suffixes")
        return
    shown = YAML(typ="safe", pure=True).load(cell.strip("`"))
    if dataclasses.is_dataclass(default):
        shown = type(default)(**shown)
    assert (type(default), default) == (type(tuples(shown)), tuples(shown))


def tuples(value: Any) -> Any:
    return tuple(map(tuples, value)) if isinstance(value, list) else value


@pytest.mark.parametrize("name", SPECS)
def test_every_choice_is_in_the_reference(name: str) -> None:
    hints = typing.get_type_hints(SPECS[name], localns=spec_names())
    there = documented()[name]
    for key in keys_of(SPECS[name]):
        choices = [each for leaf in leaves(hints[key]) for each in choices_of(leaf)]
        row = " ".join(there[key])
        assert [each for each in choices if not re.search(rf"\b{re.escape(str(each))}\b", row)] == [], key


def choices_of(leaf: Any) -> list[Any]:
    return list(typing.get_args(leaf)) if typing.get_origin(leaf) is Literal else []


def test_every_metric_is_in_the_reference() -> None:
    from sorigil.metrics import METRICS

    row = " ".join(documented()["EvaluateConfig"]["metrics"])
    assert [name for name in METRICS if f"`{name}`" not in row] == []


@by_page
def test_every_whole_configuration_that_is_shown_can_be_read(page: Path, tmp_path: Path) -> None:
    for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```", text_of(page), re.M | re.S)):
        if block.startswith("version:"):
            file = tmp_path / f"{number}.yaml"
            file.write_text(block, encoding="utf-8")
            assert configuration.load(file).pipelines


# -- what is in the files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", tables.SCHEMAS)
def test_every_column_of_the_catalogue_is_described(name: str) -> None:
    said = [(row[0].strip("`"), row[1]) for row in table_under(DATA_FORMAT, f"`{name}`")]
    assert said == [(field.name, str(field.type)) for field in tables.SCHEMAS[name]]


def test_every_column_of_a_ledger_is_described() -> None:
    own = [field for field in ledger.ROWS if field.name not in tables.UTTERANCES.names]
    said = [row[0].strip("`") for row in table_under(DATA_FORMAT, "Ledgers of units")]
    assert said == [field.name for field in own]


def columns_said(heading: str) -> list[tuple[str, str]]:
    return [(row[0].strip("`"), row[1].strip("`")) for row in table_under(DATA_FORMAT, heading)]


def test_every_column_of_the_parts_is_described(world: World) -> None:
    world.add("one", text="one")
    world.run()
    (row,) = world.read("utterances")
    (feature,) = world.read("features")
    for heading, place in (("Audio parts", row["audio_part"]), ("Feature parts", feature["part"])):
        schema = pq.read_schema(world.store.path(place))
        assert columns_said(heading) == [(field.name, str(field.type)) for field in schema]


def test_every_reason_of_a_rejection_is_described() -> None:
    """Those that the code names where it raises, notes a problem, or makes a quarantine row."""
    code_text = "\n".join(text_of(path) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    scanners = "\n".join(text_of(path) for path in sorted((ROOT / "storage/sources").glob("*.py")))
    raised = re.findall(r'AudioError\(\s*"(\w+)"', code_text)
    noted = re.findall(r'"([a-z]+_[a-z]+): ', scanners)
    rejected = re.findall(r'reason="(\w+)"|"(?:scan|identity)", "(\w+)"', code_text)
    filtered = re.findall(r'f"\{spec.over\}(_\w+)"|"(text_outside_\w+)"', text_of(ROOT / "flows/filters.py"))
    rejected += [(f"COLUMN{suffix}" if suffix else whole,) for suffix, whole in filtered]
    found = {*raised, *noted, *(name for pair in rejected for name in pair if name)}
    assert {"truncated", "missing_file", "bad_row", "duplicate_id", "vanished", "COLUMN_below_min"} <= found
    said = text_of(DATA_FORMAT)
    assert sorted(reason for reason in found if f"`{reason}`" not in said) == []


def keys_said(heading: str) -> list[str]:
    return [row[0].strip("`") for row in table_under(DATA_FORMAT, heading)]


def test_every_key_of_a_result_is_described(tmp_path: Path) -> None:
    file = tmp_path / "pipelines.yaml"
    file.write_text("{version: 1, pipelines: {p: {source: {kind: folder, uri: .}}}}", encoding="utf-8")
    config = configuration.load(file)
    result = Run(config=config, pipeline=config.pipeline("p"), reporter=typing.cast("Any", None)).result()
    assert keys_said("Results of runs: `runs/RUN/result.json`") == list(result)
    assert result["schema"] == RESULT_SCHEMA


def test_every_key_of_a_score_is_described() -> None:
    assert keys_said("Scores: `scores/KEY/score.json`") == [field.name for field in dataclasses.fields(Scored)]


def test_every_key_of_a_transcript_is_described() -> None:
    empty = transcripts.Transcript(
        uri="", sha256="", seconds=0.0, sample_rate=1, segments=(), model="", decoder="", settings={}
    )
    assert keys_said("Transcripts: JSON") == list(transcripts.to_json(empty))


def test_every_key_of_an_alignment_is_described() -> None:
    empty = formats.Alignment(uri="", sha256="", seconds=0.0, sample_rate=1, model="", utterances=())
    assert keys_said("Alignments: JSON") == list(formats.to_json(empty))


def test_every_key_of_a_bundle_is_described(world: World) -> None:
    from sorigil.models.network import build
    from sorigil.models.specs import GruSpec
    from storage import bundles

    spec = GruSpec(hidden=2, layers=1)
    bundle = bundles.Bundle(
        key="k", name="n", objective="ctc", model=spec, audio=AudioSpec(), feature=LogMel(), cmvn="utterance",
        input_dim=80, outputs=("<blank>", "a"), tokens="characters", normalizer="basic",
        weights=build(spec, "ctc", 80, 2).state_dict(),
    )  # fmt: skip
    bundles.save(world.store, bundle)
    assert sorted(keys_said("Models: `models/KEY/model.json`")) == sorted(bundles.facts(world.store, "k"))


# -- what is shown runs --------------------------------------------------------------------------------------------------


def run_script(script: str, folder: Path, *arguments: str) -> str:
    """In a process of its own, without our packages: whoever reads the store in ten years does not have them."""
    file = folder / "script.py"
    guard = f"import sys; sys.modules.update(dict.fromkeys({PACKAGES!r}))\n"
    file.write_text(guard + script, encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(file), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_version_is_read_by_the_script_in_the_document(world: World, tmp_path: Path) -> None:
    world.add("b", text="second", speaker="x")
    world.add("a", text="first", seconds=31.0)  # 3,101 frames: two chunks
    world.add("c")
    prepared = world.run()
    said = run_script(code(DATA_FORMAT, "# read_version.py"), tmp_path, world.store.root, world.dataset)
    *lines, last = said.splitlines()
    assert lines == ["a a.wav first", "b b.wav second", "c c.wav None"]
    table = open_dataset(
        world.catalog, prepared.version, feature_spec_key(world.work().audio, world.work().features[0])
    )
    matrix = StoredRows(world.store, table).features(0)
    assert json.loads(last) == {"shape": list(matrix.shape), "mean": round(float(matrix.mean()), 4)}
    assert matrix.shape == (3101, 20)


def test_an_older_version_is_read_by_the_script_in_the_document(world: World, tmp_path: Path) -> None:
    world.add("a", text="frist")
    world.run()
    world.row("a")["text"] = "first"
    world.add("b", text="second")
    world.run()
    script = code(DATA_FORMAT, "# read_version.py")
    newest = run_script(script, tmp_path, world.store.root, world.dataset)
    oldest = run_script(script, tmp_path, world.store.root, world.dataset, "v1")
    assert newest.splitlines()[:-1] == ["a a.wav first", "b b.wav second"]
    assert oldest.splitlines()[:-1] == ["a a.wav frist"]


def test_the_keys_are_computed_by_the_script_in_the_document(world: World, tmp_path: Path) -> None:
    path = world.add("a")
    world.rows[-1] |= {"start": 0.1, "end": 0.2, "channel": 0}
    world.run(audio=AudioSpec(), features=(LogMel(n_mels=40),))
    (row,) = world.read("utterances")
    (feature,) = world.read("features")
    given = [str(path), str(row["start"]), str(row["num_samples"]), "0", '{"kind": "log_mel", "n_mels": 40}']
    said = run_script(code(DATA_FORMAT, "# keys.py"), tmp_path, *given)
    assert said.split() == [row["key"], row["audio_key"], feature["spec"], feature["feature_key"]]


def test_prepared_audio_is_what_the_document_says(world: World) -> None:
    """FLAC bytes of int16 samples at the prepared rate, under the key that names them."""
    import io

    import soundfile

    world.add("a")
    world.run()
    (row,) = world.read("utterances")
    (part,) = pq.read_table(world.store.path(row["audio_part"])).to_pylist()
    samples, rate = soundfile.read(io.BytesIO(part["audio"]["bytes"]), dtype="int16")
    assert (part["key"], rate, len(samples)) == (row["audio_key"], row["prepared_rate"], row["prepared_samples"])


def test_the_keys_in_the_journey_are_those_the_code_gives() -> None:
    """The journey's example is real: from its sha256 and length follow the keys it shows (by their first digits)."""
    text = text_of(JOURNEY)
    sha256 = re.search(r"\b[0-9a-f]{64}\b", text)
    length = re.search(r"`num_samples` ([\d,]+)", text)
    assert sha256 and length
    key = digest(sha256[0], 0, int(length[1].replace(",", "")), None)
    audio_key = digest(key, fingerprint(AudioSpec()))
    spec = feature_spec_key(AudioSpec(), LogMel())
    shown = [key, audio_key, fingerprint(AudioSpec()), spec, digest(audio_key, spec)]
    assert [each[:8] for each in shown if f"`{each[:8]}" not in text] == []
