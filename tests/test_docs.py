"""The documentation is executed: every ```console and ```python block of a page, top to bottom, in one folder.

In the folder lie `photos/` (three classes of drawn images), `parts/` and `marked/` (drawn images with masks and with
boxes), `new/` (images without labels), `clip.mp4` (four frames) and `resnet20.pt` (foreign weights). Of a console
block, lines that begin with `$ pellucid` are run; ` # exits with 1` states another exit code than 0. The lines below a
command are what it printed: each must occur in what it prints now, whatever the numbers are; `…` stands for what is
left out. Budgets are cut to one epoch, so that a page runs in seconds.

An ```output block is what the ```python block above it prints, to the letter but for `…`. A lesson links to states of
the page `pellucid studio`, which must know them, and its questions are answered by blocks that run.
"""

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from tests.browser import watched_page
from tests.drawn import draw_images, make_box_table, make_image_folder, make_mask_folder

ROOT = Path(__file__).parents[1]
LESSONS = sorted((ROOT / "docs" / "lessons").glob("[0-9]*.md"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "lessons").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = {"console", "python"}
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
STATE = re.compile(r"\(http://127\.0\.0\.1:8765/arithmetic(#[^)\s]+)\)")
BUDGETS = ((r"--(minutes|epochs) \S+", "--epochs 1"), (r"\b(minutes|epochs)=[\d.]+", "epochs=1"))


def blocks(page: Path) -> Iterator[tuple[int, str, str]]:
    """(line, language, text) of every fenced block."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        yield text.count("\n", 0, found.start()) + 1, found[1], found[2]


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def executable(page: Path) -> bool:
    return any(language in RUN for _, language, _ in blocks(page))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a page runs."""
    from PIL import Image
    from torch import save

    from pellucid.models.base import build_model
    from pellucid.video import VideoWriter

    make_image_folder(tmp_path / "photos", ("bee", "fly", "wasp"), size=32)
    make_mask_folder(tmp_path / "parts", {"train": 12, "val": 4, "test": 4})
    make_box_table(tmp_path / "marked", {"train": 12, "val": 4, "test": 4})
    (tmp_path / "new").mkdir()
    for name, pixels in zip(("a.png", "b.png", "c.png"), draw_images([0, 1, 2], seed=9), strict=True):
        Image.fromarray(np.asarray(pixels)).save(tmp_path / "new" / name)
    with VideoWriter(tmp_path / "clip.mp4") as writer:
        for number in range(4):
            writer.add(np.asarray(Image.open(tmp_path / "marked" / f"train-{number}.png")), number / 4)
    save(build_model("resnet20", 3).state_dict(), tmp_path / "resnet20.pt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if executable(page)], ids=named)
def test_page_runs_as_written(page: Path, folder: Path, keep_signals: None) -> None:
    pytest.importorskip("pellucid.cli")
    names: dict[str, object] = {"__name__": "__main__"}
    printed = ""
    for line, language, text in blocks(page):
        place = f"{named(page)}:{line}"
        if language == "python":
            printed = run_python(text, names, place)
        elif language == "output":
            check_output(text, printed, place)
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


def run_python(text: str, names: dict[str, object], place: str) -> str:
    """What the block prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(cut_budgets(text), place, "exec"), names)
    return printed.getvalue()


def check_output(text: str, printed: str, place: str) -> None:
    pattern = ".*".join(re.escape(piece) for piece in text.split("…"))
    same = bool(re.fullmatch(pattern, printed, re.DOTALL))
    assert same, f"{place}: the block above prints\n{printed}"


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


def test_printed_output_is_compared_to_the_letter():
    printed = run_python("print('64 = 6·3 + 46')\nprint(0.5)", {}, "here")
    check_output("64 = 6·3 + 46\n0.5\n", printed, "here")
    check_output("64 = … + 46\n…\n", printed, "here")
    for wrong in ("64 = 6·3 + 47\n0.5\n", "64 = 6·3 + 46\n", "…6·4…"):
        with pytest.raises(AssertionError, match="here: the block above prints"):
            check_output(wrong, printed, "here")


def test_budgets_are_cut():
    assert cut_budgets("pellucid train photos --minutes 20") == "pellucid train photos --epochs 1"
    assert cut_budgets("TrainConfig(minutes=2.5)") == "TrainConfig(epochs=1)"


# What the pages must say


@pytest.mark.parametrize("page", PAGES, ids=named)
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


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=named)
def test_pages_speak_of_no_machine(page: Path) -> None:
    assert not re.search(r"(?m)(?:^|[\s`'\"(])/\w+/\w", page.read_text())


def test_contributing_is_short() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 60


def test_the_picture_in_the_readme_is_small() -> None:
    assert (ROOT / "docs" / "pictures" / "report.png").stat().st_size < 200_000


# What the lessons must have


@pytest.mark.parametrize("lesson", LESSONS, ids=named)
def test_a_lesson_links_to_the_page_and_proves_its_answers(lesson: Path) -> None:
    text = lesson.read_text()
    assert STATE.findall(text)
    answers = re.findall(r"^<details>(.*?)^</details>", text, re.MULTILINE | re.DOTALL)
    assert len(answers) == 3
    assert all(re.search(r"^```python\n.*?\bassert ", answer, re.MULTILINE | re.DOTALL) for answer in answers)


def test_lessons_lead_from_one_to_the_next() -> None:
    index = LINK.findall((ROOT / "docs" / "lessons" / "README.md").read_text())
    names = [lesson.name for lesson in LESSONS]
    assert [link for link in index if link in names] == names
    for lesson, before, after in zip(LESSONS, ["", *names], [*names[1:], ""], strict=False):
        last = lesson.read_text().rstrip().rpartition("\n\n")[2]
        assert LINK.findall(last) == [link for link in (before, "README.md", after) if link]


@pytest.mark.browser
def test_the_page_knows_every_state_that_is_linked_to(browser) -> None:
    """Its own reader of addresses finds nothing wrong with any of them, and finds the preset."""
    states = [(named(page), state) for page in PAGES for state in STATE.findall(page.read_text())]
    with watched_page(browser) as window:
        window.route("**/*", lambda route: serve(route, ROOT / "src" / "pellucid" / "studio" / "static"))
        window.goto("http://127.0.0.1/")
        found = window.evaluate(READ_STATES, [state for _, state in states])
    assert found
    for (page, state), (preset, problems) in zip(states, found, strict=True):
        assert not problems, f"{page}: {state}"
        assert re.match(rf"#preset={preset}(&|$)", state), f"{page}: {state}"


READ_STATES = """async (states) => {
  const { parse } = await import("/state/fragment.js");
  return states.map(parse).map(({ state, problems }) => [state.preset, problems]);
}"""


def serve(route, folder: Path) -> None:
    """A file of the folder, and an empty page where none is named."""
    name = urlsplit(route.request.url).path.lstrip("/")
    if name:
        route.fulfill(path=folder / name)
    else:
        route.fulfill(body="<!doctype html><title>empty</title>", content_type="text/html")
