"""The page Training: what the log says, while it grows and afterwards."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pellucid.studio.subject import subject_of
from pellucid.studio.training_page import model_kernels
from pellucid.training.events import Evaluated, Finished, Started, Stepped
from pellucid.training.folder import RunFolder
from pellucid.training.kernels import keep_kernels
from tests.browser import text_contrasts, too_wide, watched_page
from tests.studio.glass import canvas_pixels, complete, exact, make_model, show
from tests.studio.served import ask, running
from tests.studio.test_network_page import diverging

pytestmark = pytest.mark.browser


def stepped(step: int) -> Stepped:
    return Stepped(step, 40, step / 10, {"cross_entropy": 2 / step}, 0.01 * step, 1.5, 250.0)


def log(run: Path, *events) -> None:
    with (run / "events.jsonl").open("a") as file:
        file.writelines(json.dumps(event.to_json()) + "\n" for event in events)


@pytest.fixture
def run(tmp_path) -> Path:
    log(tmp_path, Started(0, 40, 320, 5000), *(stepped(step) for step in range(1, 9)))
    log(tmp_path, Evaluated(8, 0.8, "top1", 0.625, True))
    return tmp_path


@pytest.fixture
def address(run):
    with running(None, subject_of(str(run), None)) as found:
        yield found


def told(window) -> dict[str, str]:
    rows = window.locator("#state dl > div").all()
    return {row.locator("dt").inner_text(): row.locator("dd").inner_text() for row in rows}


def test_the_last_figures_and_the_curves_are_those_of_the_log(address, page):
    show(page, f"{address}/")
    said = told(page)
    assert page.url.endswith("/training")
    assert said["step"] == "8 of 40"
    assert said["loss, cross_entropy"] == "0.2500"
    assert said["top1, best"] == "0.6250 at step 8"
    titles = page.locator("figure.panel h3").all_inner_texts()
    assert titles == ["Loss", "Validation", "Learning rate", "Norm of the gradient", "Images a second"]
    page.locator("figure.panel summary").first.click()
    losses = [exact(one) for one in page.locator("figure.panel").first.locator("td data").all()]
    assert losses == [2 / step for step in range(1, 9)]


def test_the_page_follows_the_log(address, run, page):
    show(page, f"{address}/training")
    log(run, stepped(9))
    page.wait_for_selector("#state dd:text-is('9 of 40')")
    page.wait_for_timeout(2500)  # longer than a stream lasts: another one takes up where it ended
    log(run, stepped(10), Evaluated(10, 1.0, "top1", 0.75, True))
    page.wait_for_selector("#state dd:text-is('0.7500 at step 10')")
    complete(page)
    assert page.locator("#spoken").inner_text() == "step 10: top1 0.7500"
    log(run, Finished(40, "every step was done"))
    page.wait_for_selector("h2:text-is('In the end')")
    assert page.locator("main[data-stream]").count() == 0, "what has ended is not asked for again"


def test_a_stream_says_at_once_what_was_missed(address, run):
    size = (run / "events.jsonl").stat().st_size
    answer = ask(address, "/training/events?seen=3")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert f"id: {size}\nevent: changed" in answer.body.decode()
    assert b"changed" not in ask(address, "/training/events?seen=3", Last_Event_ID=str(size)).body


def test_a_line_that_is_being_written_is_not_read(address, run, page):
    with (run / "events.jsonl").open("a") as file:
        file.write('{"event": "stepped", "st')
    show(page, f"{address}/training")
    assert told(page)["step"] == "8 of 40"


def test_the_model_kernels_are_those_of_the_model_file(run, page):
    model = make_model("classify", run)
    planes = model_kernels(model).reshape(-1, 3, 3)
    with running(None, subject_of(str(run), None)) as address:
        show(page, f"{address}/training")
        assert page.locator("#kernels .tile").count() == len(planes)
        drawn = canvas_pixels(page, page.locator("#kernels image.on-light").first.get_attribute("href"))
        page.goto("about:blank")  # it would go on asking for news
    wanted = diverging(planes.reshape(-1, 3), float(abs(planes).max()), "light")
    assert (drawn == wanted).all()


def test_kernels_are_shown_as_they_grow(run, page):
    folder, layer = RunFolder(run), torch.nn.Conv2d(3, 5, 3)
    weights = [torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(seed)) for seed in range(20)]
    for step, weight in enumerate(weights):
        layer.weight.data = weight
        event = Evaluated(step, step / 10, "top1", 0.5, False) if step else Started(0, 40, 320, 5000)
        keep_kernels(folder, event, layer)
    change = (weights[-1] - weights[0]).abs().sum(dim=(2, 3))
    with running(None, subject_of(str(run), None)) as address:
        show(page, f"{address}/training")
        heads = page.locator("#growth thead th").all_inner_texts()
        places = [tuple(map(int, text.split(", "))) for text in page.locator("#growth tbody th").all_inner_texts()]
        drawn = canvas_pixels(page, page.locator("#growth image.on-light").first.get_attribute("href"))
        page.goto("about:blank")
    steps = [int(text.removeprefix("step ")) for text in heads[1:]]
    assert steps == [0, 2, 5, 7, 10, 12, 14, 17, 19]
    assert places == [(at, int(change[at].argmax())) for at in change.amax(1).argsort(descending=True).tolist()]
    shown = [weights[step][at, channel].double().numpy() for at, channel in places for step in steps]
    wanted = diverging(np.concatenate(shown), float(abs(np.stack(shown)).max()), "light")
    assert (drawn == wanted).all()


def test_a_run_that_has_only_begun_has_a_page(tmp_path):
    (tmp_path / "events.jsonl").write_text("")
    with running(None, subject_of(str(tmp_path), None)) as address:
        assert b"nothing yet" in ask(address, "/training").body
        assert b"pellucid studio MODEL" in ask(address, "/network").body


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_fits_the_screen(address, browser, scheme, width):
    with watched_page(browser, viewport={"width": width, "height": 800}, color_scheme=scheme) as window:
        show(window, f"{address}/training")
        assert too_wide(window) == []
        assert not [text for ratio, text in text_contrasts(window) if ratio < 4.5]


def test_without_a_script_all_of_it_is_there(address, browser):
    with watched_page(browser, java_script_enabled=False) as window:
        window.goto(f"{address}/training")
        assert window.locator("figure.panel svg[role=img]").count() == 5
