"""One field is the default, the flag, its help and the saved value; what cannot be meant is refused."""

import ast
import dataclasses
import inspect
import itertools
import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import config as config_module
from pellucid.cli import main
from pellucid.config import RANGES, TrainConfig
from pellucid.data.augment import Augment
from pellucid.errors import UsageError

FIELDS = {field.name: field for field in dataclasses.fields(TrainConfig)}
CHOICES = {
    "precision": ("fp32", "bf16"),
    "optimizer": ("sgd", "adamw", "muon"),
    "schedule": ("one-cycle", "cosine"),
    "class_weights": ("none", "balanced"),
}


def field_texts() -> dict[str, str]:
    """The string below each field, which is its help."""
    tree = ast.parse(inspect.getsource(config_module))
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef)).body
    found = {}
    for field, text in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign):
            assert isinstance(text, ast.Expr), f"{field.target.id} has no text below it"
            found[field.target.id] = text.value.value
    return found


def test_every_field_says_what_it_does():
    texts = field_texts()
    assert texts.keys() == FIELDS.keys()
    assert all(len(text) > 10 and text.endswith(".") for text in texts.values())


def test_the_help_of_the_command_line_is_these_texts(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    shown = letters(capsys.readouterr().out)
    for name, text in field_texts().items():
        assert letters(name) in shown
        assert letters(text) in shown, name


def letters(text: str) -> str:
    """Without frames, line breaks and hyphens, which the terminal's width decides."""
    return re.sub(r"[\W_]+", "", text)


def test_a_field_with_none_says_what_it_is_derived_from():
    texts = field_texts()
    silent = {name for name, field in FIELDS.items() if field.default is None and "erived" not in texts[name]}
    assert silent == {"weights", "clip", "patience"}  # off, not derived


@pytest.mark.parametrize("name", sorted(RANGES))
def test_a_value_outside_its_range_is_refused(name):
    low, high = RANGES[name]
    kind = int if "int" in str(FIELDS[name].type) else float
    for value in (low, high):
        if name not in ("accumulate", "val"):
            TrainConfig(**{name: kind(value)})
    for value in (low - 1, high * 2 + 1, math.nan):
        with pytest.raises(UsageError, match=rf"--{name.replace('_', '-')} is .* between"):
            TrainConfig(**{name: value})


def test_every_number_has_a_range():
    numbers = {name for name, field in FIELDS.items() if re.search(r"\b(int|float)\b", str(field.type))}
    assert numbers == set(RANGES)


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_a_word_that_is_no_choice_is_refused(name):
    for word in CHOICES[name]:
        assert getattr(TrainConfig(**{name: word}), name) == word
    flag = name.replace("_", "-")
    with pytest.raises(UsageError, match=f"--{flag} is 'adam'; it must be one of {', '.join(CHOICES[name])}"):
        TrainConfig(**{name: "adam"})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"epochs": 3, "minutes": 2}, "Give one of them"),
        ({"optimizer": "adamw", "momentum": 0.9}, "no effect with --optimizer adamw"),
        ({"batch": 10, "accumulate": 4}, "4 equal parts"),
    ],
)
def test_combinations_that_cannot_be_meant(given, words):
    with pytest.raises(UsageError, match=words):
        TrainConfig(**given)


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UsageError, match=r"Unknown setting 'epoch'\. Did you mean 'epochs'\?"):
        TrainConfig.from_json({"epoch": 3})


def setting(name: str) -> st.SearchStrategy:
    if name in CHOICES:
        return st.sampled_from(CHOICES[name])
    if name == "freeze":
        return st.lists(st.text(min_size=1), max_size=3).map(tuple)
    if name not in RANGES:
        return st.text(min_size=1)
    low, high = RANGES[name]
    return st.integers(math.ceil(low), int(high)) if "int" in str(FIELDS[name].type) else st.floats(low, high)


TOGETHER = {"arguments", "epochs", "momentum", "batch", "patience"}  # refused beside some others


@given(st.fixed_dictionaries({}, optional={name: setting(name) for name in FIELDS if name not in TOGETHER}))
def test_settings_go_through_json(values):
    settings = TrainConfig(**values)
    assert TrainConfig.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    assert settings.to_json().keys() == FIELDS.keys()


def test_saved_settings_of_an_older_version_lack_some():
    assert TrainConfig.from_json({"seed": 3}) == TrainConfig(seed=3)


def test_every_augmentation_is_a_setting():
    from_elsewhere = {"wide", "view"}  # the task, and whether the batch is of mosaics
    assert {field.name for field in dataclasses.fields(Augment)} - FIELDS.keys() == from_elsewhere


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().seed = 3


def test_arguments_of_the_model_are_read_as_what_they_look_like():
    words = ("width=32", "share=0.5", "norm=true", "assignment=task_aligned", "name=1e")
    given = TrainConfig(model="yolo_n", arguments=words)
    assert given.model_arguments() == {
        "width": 32,
        "share": 0.5,
        "norm": True,
        "assignment": "task_aligned",
        "name": "1e",
    }
    assert type(given.model_arguments()["width"]) is int
    assert TrainConfig.from_json(given.to_json()) == given


@pytest.mark.parametrize("word", ["width", "=3", "width=", "a b=3"])
def test_an_argument_without_name_or_value_is_refused(word):
    with pytest.raises(UsageError, match=r"name=value, such as width=32"):
        TrainConfig(model="net", arguments=(word,))


def test_arguments_without_a_network_are_refused():
    with pytest.raises(UsageError, match=r"Name it: --model"):
        TrainConfig(arguments=("width=32",))
