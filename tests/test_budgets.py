"""The budgets of the design, over every file in src: what grows beyond them is split, not excused."""

import ast
import io
import re
import statistics
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "pellucid"
FILES = sorted(SOURCE.rglob("*.py"))
NAMES = [str(path.relative_to(SOURCE)) for path in FILES]

MEDIAN_LINES = 8
P90_LINES = 30
MOST_LINES = 60
FILE_LINES = 400
CODE_LINES = 28_000  # in all; docstrings, comments and blank lines are free, so that nobody saves on explanations
POSITIONAL = 6
UNPICKLERS = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
# Whose result is what they print: verbs, and what runs as a process of its own.
SPEAKING = {"__main__.py", "cli.py", "verbs", "demo.py", "terminal.py", "runtime/measuring.py"}
DRAWERS = {"utils", "util", "misc", "common", "helpers", "helper", "tools"}
# Operators of torch whose trailing underscore is not "in place": they return something else, or the caller's own.
NOT_IN_PLACE = {"__init__", "requires_grad_"}

NO_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> list[Function]:
    return [node for node in ast.walk(parsed(path)) if isinstance(node, Function)]


def body_lines(function: Function) -> int:
    """Lines from the first statement after the docstring to the last."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def code_lines(path: Path) -> set[int]:
    """The lines of a file that hold code: no docstring, no comment, nothing blank."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type not in NO_CODE:
            found |= set(range(token.start[0], token.end[0] + 1))
    return found - docstring_lines(path)


def docstring_lines(path: Path) -> set[int]:
    found: set[int] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Module | ast.ClassDef | Function) and ast.get_docstring(node) is not None:
            found |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return found


@pytest.fixture(scope="module")
def lengths() -> dict[str, int]:
    """Lines of every function that does something, by its place. A test of none would pass for nothing."""
    found = {
        f"{path.relative_to(SOURCE)}:{function.lineno} {function.name}": body_lines(function)
        for path in FILES
        for function in functions(path)
    }
    assert len(found) > 100
    return {place: lines for place, lines in found.items() if lines}


def test_functions_are_short(lengths):
    assert statistics.median(lengths.values()) <= MEDIAN_LINES
    assert statistics.quantiles(lengths.values(), n=10)[-1] <= P90_LINES
    assert not {place: lines for place, lines in lengths.items() if lines > MOST_LINES}


def test_files_are_short():
    lengths = {name: len(path.read_text().splitlines()) for name, path in zip(NAMES, FILES, strict=True)}
    assert not {name: lines for name, lines in lengths.items() if lines > FILE_LINES}


def test_the_whole_is_small():
    assert sum(len(code_lines(path)) for path in FILES) <= CODE_LINES


def test_few_arguments_are_positional():
    many = {
        f"{path.relative_to(SOURCE)}:{function.lineno} {function.name}"
        for path in FILES
        for function in functions(path)
        if len(function.args.posonlyargs) + len(function.args.args) > POSITIONAL
    }
    assert not many


def test_no_file_is_a_drawer():
    names = {part.removesuffix(".py") for name in NAMES for part in Path(name).parts}
    assert not names & DRAWERS


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(("models/", "ops/"))])
def test_models_change_nothing_in_place(name):
    """A page that shows a layer's output must show what the layer gave, not what the next one left of it."""
    tree = parsed(SOURCE / name)
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and not _initialises(node)
    }
    assert not {call for call in called if re.fullmatch(r"[a-z]\w*_", call)} - NOT_IN_PLACE
    keywords = [node for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "inplace"]
    assert not [word for word in keywords if not (isinstance(word.value, ast.Constant) and word.value.value is False)]


def _initialises(call: ast.Call) -> bool:
    """`init.kaiming_normal_(weight)` and the like fill new weights; no activation passes through them."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    owner_name = getattr(owner, "attr", getattr(owner, "id", ""))
    return owner_name == "init"


def test_nothing_unpickles():
    """`torch.load` stands in one file, for foreign weights, and reads nothing but tensors."""
    loads = []
    for name, path in zip(NAMES, FILES, strict=True):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ImportFrom):
                assert node.module not in UNPICKLERS, name
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in UNPICKLERS:
                assert node.attr == "UnpicklingError", f"{name}:{node.lineno}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                loads.append((name, {word.arg: ast.unparse(word.value) for word in node.keywords}))
    assert {name for name, _ in loads} <= {"models/weights.py"}
    assert all(words.get("weights_only") == "True" for _, words in loads)


def test_no_error_is_swallowed():
    for name, path in zip(NAMES, FILES, strict=True):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ExceptHandler):
                caught = "" if node.type is None else ast.unparse(node.type)
                assert caught not in ("", "Exception", "BaseException"), f"{name}:{node.lineno}"


def test_only_the_command_line_prints():
    for name, path in zip(NAMES, FILES, strict=True):
        calls = {ast.unparse(node.func) for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)}
        assert {name, name.split("/")[0]} & SPEAKING or not calls & {"print", "sys.exit", "sys.stdout.write", "exit"}, (
            name
        )


def test_comments_ask_for_nothing():
    """A comment gives a reason; work that is left is an issue, not a comment."""
    for name, path in zip(NAMES, FILES, strict=True):
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
            if token.type == tokenize.COMMENT:
                assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", token.string), f"{name}:{token.start[0]}"


def test_help_imports_no_torch():
    pytest.importorskip("pellucid.cli")
    code = (
        "import sys; from pellucid.cli import main; sys.argv = ['pellucid', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "found = {'torch', 'numpy', 'PIL'} & set(sys.modules); sys.exit(1 if found else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
