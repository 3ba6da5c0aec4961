"""Names to things: modules' dicts, a user's own file, installed plug-ins; and the nearest name for a typing error."""

import dataclasses
from importlib.metadata import EntryPoint

import pytest

from pellucid import catalog
from pellucid.catalog import catalogue, find, suggestion
from pellucid.errors import LookupFailed, UsageError
from pellucid.models.compact import Compact
from pellucid.tasks.classify import Classify


def test_every_module_of_the_package_is_in_the_catalogue():
    assert {"compact", "net", "resnet18", "resnet20"} <= set(catalogue("MODELS"))
    assert find("MODELS", "compact") is Compact
    assert find("TASKS", "classify") is Classify
    with pytest.raises(TypeError):
        catalogue("MODELS")["mine"] = Compact


def test_an_unknown_name_gets_the_nearest_or_all():
    with pytest.raises(LookupFailed, match=r"No model named 'compct'\. Did you mean 'compact'\?"):
        find("MODELS", "compct")
    with pytest.raises(UsageError, match=r"No task named 'fly'\. There is: classify"):
        find("TASKS", "fly")


def test_suggestions():
    assert suggestion("epoch", ["epochs", "seed"]) == " Did you mean 'epochs'?"
    assert suggestion("zzz", ["b", "a"]) == " There is: a, b."
    assert suggestion("zzz", []) == ""


OWN = """
from __future__ import annotations
import dataclasses

@dataclasses.dataclass
class Mine:
    width: int = 3
    depth: list[int] | None = None

_hidden = 1
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "with space" / "json.py"  # a name that the standard library has, too
    path.parent.mkdir()
    path.write_text(OWN)
    return path


def test_a_users_file_is_read_even_under_the_name_of_another_module(own):
    import json

    made = find("MODELS", f"{own}:Mine")(width=5)
    assert made.width == 5
    assert [field.name for field in dataclasses.fields(made)] == ["width", "depth"]
    assert type(made).__module__ != "json"
    import json as again

    assert again is json


def test_a_changed_file_is_read_again(own):
    find("MODELS", f"{own}:Mine")
    own.write_text("Mine = 'something else'")
    assert find("MODELS", f"{own}:Mine") == "something else"


def test_what_a_users_file_lacks(own, tmp_path):
    with pytest.raises(LookupFailed, match=r"has no 'Mien'\. Did you mean 'Mine'\?"):
        find("MODELS", f"{own}:Mien")
    with pytest.raises(LookupFailed, match=r"has no 'Zzz'\. There is: Mine, annotations, dataclasses\."):
        find("MODELS", f"{own}:Zzz")
    with pytest.raises(LookupFailed, match=r"No file .*gone\.py \(wanted for"):
        find("MODELS", f"{tmp_path / 'gone.py'}:Mine")


def test_a_mistake_in_a_users_file_keeps_its_own_error(own):
    own.write_text("def broken(:")
    with pytest.raises(SyntaxError):
        find("MODELS", f"{own}:Mine")


def test_an_installed_plug_in_is_in_the_catalogue(monkeypatch):
    asked = []

    def entry_points(group):
        asked.append(group)
        return [EntryPoint("theirs", "pellucid.models.compact:Compact", group)]

    monkeypatch.setattr(catalog, "entry_points", entry_points)
    catalogue.cache_clear()
    try:
        assert find("MODELS", "theirs") is Compact
        assert asked == ["pellucid.models"]
    finally:
        catalogue.cache_clear()
