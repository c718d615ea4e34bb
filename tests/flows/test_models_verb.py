"""`sorigil models`: the shelf, and with --trained what lies in the store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

from yaml_world import make_project, sorigil

from sorigil.models.cost import parameters
from sorigil.models.network import MODELS, build
from sorigil.models.shelf import entries
from sorigil.models.specs import Input, ResNet18Spec
from sorigil.objectives import Objective


def test_the_shelf_says_of_each_kind_what_it_is_for_how_large_and_from_whom(tmp_path: Path) -> None:
    said = json.loads(sorigil("models", "--json", cwd=tmp_path).stdout)  # no pipelines.yaml is needed
    assert said["status"] == "completed"
    assert [row["name"] for row in said["models"]] == list(MODELS)
    for row in said["models"]:
        assert row["objectives"] and set(row["objectives"]) <= set(get_args(Objective))
        assert row["input"] in get_args(Input) and row["paper"]
    text = sorigil("models", cwd=tmp_path).stdout
    assert "resnet18" in text and "He et al. 2016" in text and "80 features a frame and 10 outputs" in text


def test_the_parameters_are_those_of_the_network_with_its_defaults() -> None:
    sizes = {entry.name: entry.parameters for entry in entries()}
    assert sizes["resnet18"] == parameters(build(ResNet18Spec(), "classification", 80, 10)) == 11_175_370
    assert all(size is None or size > 1000 for size in sizes.values())


def test_trained_lists_the_store(tmp_path: Path) -> None:
    path = make_project(tmp_path, items=2)
    assert "no models yet" in sorigil("models", "--trained", cwd=path.parent).stdout
    assert json.loads(sorigil("models", "--trained", "--json", cwd=path.parent).stdout)["models"] == []
