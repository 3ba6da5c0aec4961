"""The public surface: what it is, that it is there, and what it costs to look at it."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import pellucid

SOURCE = Path(pellucid.__file__).parent
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages([str(SOURCE)], "pellucid.")
    if module.name != "pellucid.__main__" and (not module.ispkg or module.name == "pellucid.report")
)

# Taking a name away breaks somebody's program: it needs a new major version, not a shorter list.
PUBLIC = [
    "Dataset",
    "PellucidError",
    "Predictor",
    "Preprocess",
    "TrainConfig",
    "build_model",
    "check",
    "evaluate",
    "fit",
    "import_weights",
    "load",
    "open_dataset",
    "predict",
    "read_image",
    "train",
]
HEAVY = {"torch", "numpy", "PIL", "tyro", "rich"}


def test_the_public_names_are_these():
    assert pellucid.__all__ == PUBLIC


def test_every_public_name_is_there_and_says_what_it_is():
    for name in PUBLIC:
        thing = getattr(pellucid, name)
        assert (thing.__doc__ or "").strip(), name
        assert thing.__module__.startswith("pellucid."), name
        assert name in sys.modules[thing.__module__].__all__, name
    assert set(PUBLIC) < set(dir(pellucid))


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'tarin'"):
        pellucid.tarin  # noqa: B018
    assert not hasattr(pellucid, "importlib_metadata")


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_offers_is_what_it_lists(name):
    """`__all__` names things that exist, once each, and its functions and classes have a docstring."""
    module = importlib.import_module(name)
    listed = set(module.__all__)
    assert len(listed) == len(module.__all__)
    assert not {entry for entry in listed if not hasattr(module, entry)}
    for entry in listed:
        thing = getattr(module, entry)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert (thing.__doc__ or "").strip(), entry


def imported(code: str) -> set[str]:
    """The heavy packages that were imported by the time the code is done."""
    script = f"import sys\n{code}\nprint('found', *({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_importing_the_package_imports_nothing_heavy():
    assert imported("import pellucid; pellucid.__version__; dir(pellucid)") == set()
    assert imported("import pellucid; pellucid.TrainConfig(minutes=5); pellucid.PellucidError") == set()


def test_the_overview_imports_nothing_heavy_and_the_help_of_a_verb_no_torch():
    assert imported("from pellucid.cli import main\nassert main(['--help']) == 0\nmain(['--version'])") == set()
    code = "from pellucid.cli import main\ntry: main(['train', '--help'])\nexcept SystemExit: pass"
    assert not imported(code) & {"torch", "numpy", "PIL"}


def test_pickle_is_imported_for_its_exceptions_only():
    """In one file, and nothing of it is used but the exception that a damaged file raises."""
    users = {}
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        if "pickle" in names | modules:
            users[str(path.relative_to(SOURCE))] = {
                node.attr
                for node in ast.walk(tree)
                if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle"
            }
    assert users == {"models/weights.py": {"UnpicklingError"}}
