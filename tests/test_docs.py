"""The documentation is executed: every ```console and ```python block of a page, top to bottom, in one folder.

In the folder lie `photos/` (three classes of drawn images), `new/` (images without labels) and `resnet20.pt`
(foreign weights). Of a console block, lines that begin with `$ pellucid` are run; ` # exits with 1` states another
exit code than 0. The lines below a command are what it printed: each must occur in what it prints now, whatever the
numbers are; `…` stands for what is left out. Budgets are cut to one epoch, so that a page runs in seconds.
"""

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.drawn import draw_images, make_image_folder

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = {"console", "python"}
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BUDGETS = ((r"--(minutes|epochs) \S+", "--epochs 1"), (r"\b(minutes|epochs)=[\d.]+", "epochs=1"))


def blocks(page: Path) -> Iterator[tuple[int, str, str]]:
    """(line, language, text) of every fenced block."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        yield text.count("\n", 0, found.start()) + 1, found[1], found[2]


def executable(page: Path) -> bool:
    return any(language in RUN for _, language, _ in blocks(page))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a page runs."""
    from PIL import Image
    from torch import save

    from pellucid.models.base import build_model

    make_image_folder(tmp_path / "photos", ("bee", "fly", "wasp"), size=32)
    (tmp_path / "new").mkdir()
    for name, pixels in zip(("a.png", "b.png", "c.png"), draw_images([0, 1, 2], seed=9), strict=True):
        Image.fromarray(np.asarray(pixels)).save(tmp_path / "new" / name)
    save(build_model("resnet20", 3).state_dict(), tmp_path / "resnet20.pt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if executable(page)], ids=lambda page: page.stem)
def test_page_runs_as_written(page: Path, folder: Path, keep_signals: None) -> None:
    pytest.importorskip("pellucid.cli")
    names: dict[str, object] = {"__name__": "__main__"}
    for line, language, text in blocks(page):
        place = f"{page.relative_to(ROOT)}:{line}"
        if language == "python":
            run_python(text, names, place)
        elif language == "console":
            run_console(text, place)


@pytest.fixture
def keep_signals() -> Iterator[None]:
    """`train` listens to signals as a program does; afterwards the test run has its own again."""
    import signal

    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def cut_budgets(text: str) -> str:
    for pattern, short in BUDGETS:
        text = re.sub(pattern, short, text)
    return text


def run_python(text: str, names: dict[str, object], place: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(cut_budgets(text), place, "exec"), names)


def run_console(text: str, place: str) -> None:
    """Each command with the lines below it, up to the next."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *shown = part.rstrip("\n").split("\n")
        while command.endswith("\\"):
            command = command[:-1] + shown.pop(0).strip()
        command, _, expected = command.partition(" # exits with ")
        code, printed = call(cut_budgets(command), place)
        assert code == int(expected or 0), f"{place}: {command}\n{printed}"
        pieces = [piece for line in shown for piece in line.split("…")]
        missing = [piece for piece in pieces if alike(piece) not in alike(printed)]
        assert not missing, f"{place}: {command} does not print {missing}\n{printed}"


def call(command: str, place: str) -> tuple[int, str]:
    """Run `pellucid ...` in this process; the exit code and what it printed on both outputs."""
    from pellucid.cli import main

    program, *words = shlex.split(command)
    assert program == "pellucid", f"{place}: only pellucid is run; mark blocks of {program} as ```sh"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            code = main(words)
        except SystemExit as stopped:
            code = int(stopped.code or 0)
    return code, printed.getvalue()


def alike(text: str) -> str:
    """The text without its numbers and with single spaces."""
    return re.sub(r"\s+", " ", re.sub(r"\d[\d.,]*", "#", text)).strip()


# The executor itself


def test_output_is_compared_without_its_numbers():
    assert alike("top1  0.98  of 181") == alike("top1 0.5 of 9")
    assert alike("top1 0.98") != alike("top5x 0.98")


def test_a_wrong_line_of_output_is_found(monkeypatch):
    monkeypatch.setattr("tests.test_docs.call", lambda *_: (0, "test: 9 images"))
    run_console("$ pellucid check photos\ntest: 12 images\n", "here")
    with pytest.raises(AssertionError, match="does not print"):
        run_console("$ pellucid check photos\ntrain: 12 images\n", "here")
    with pytest.raises(AssertionError):
        run_console("$ pellucid check photos # exits with 1\n", "here")


def test_budgets_are_cut():
    assert cut_budgets("pellucid train photos --minutes 20") == "pellucid train photos --epochs 1"
    assert cut_budgets("TrainConfig(minutes=2.5)") == "TrainConfig(epochs=1)"


# What the pages must say


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_files_that_exist(page: Path) -> None:
    targets = [link for link in LINK.findall(page.read_text()) if not re.match(r"https?:|mailto:|#", link)]
    missing = [link for link in targets if not (page.parent / link.partition("#")[0]).exists()]
    assert not missing


def test_every_verb_is_documented() -> None:
    verbs = pytest.importorskip("pellucid.cli").VERBS
    said = "\n".join(page.read_text() for page in PAGES)
    assert not [verb for verb in verbs if f"pellucid {verb}" not in said]


def test_every_model_format_and_public_name_is_documented() -> None:
    import pellucid
    from pellucid.catalog import catalogue
    from pellucid.data.fetch import SETS

    said = "\n".join(page.read_text() for page in PAGES)
    names = [*catalogue("MODELS"), *catalogue("FORMATS"), *SETS]
    assert not [name for name in names if f"`{name}`" not in said]
    python = (ROOT / "docs" / "python.md").read_text()
    assert not [name for name in pellucid.__all__ if name not in python]


def test_every_setting_is_documented() -> None:
    import dataclasses

    from pellucid.config import TrainConfig

    said = (ROOT / "docs" / "train.md").read_text()
    flags = [f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(TrainConfig)]
    assert not [flag for flag in flags if flag not in said]


def test_every_dependency_is_accounted_for() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    said = (ROOT / "docs" / "dependencies.md").read_text()
    names = [re.split(r"[<>=!~\[; ]", requirement)[0] for requirement in wanted]
    assert not [name for name in names if f"| {name} |" not in said]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=lambda page: page.stem)
def test_pages_speak_of_no_machine(page: Path) -> None:
    assert not re.search(r"(?m)(?:^|[\s`'\"(])/\w+/\w", page.read_text())


def test_contributing_is_short() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 60


def test_the_picture_in_the_readme_is_small() -> None:
    assert (ROOT / "docs" / "pictures" / "report.png").stat().st_size < 200_000
