"""The page Mistakes: losses, confusions and findings are those of Python; an image leads to its reasons."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional

from pellucid.data.dataset import open_dataset
from pellucid.inspection.health import health_of
from pellucid.network import load_predictor
from pellucid.studio.judging import Progress, judged
from pellucid.studio.photos import Split, photos_of
from pellucid.studio.subject import Subject
from tests.browser import text_contrasts, too_wide, watched_page
from tests.drawn import make_box_table, make_mask_folder
from tests.inspection.networks import unsettled
from tests.inspection.trained import COLORS, make_color_folder
from tests.studio.glass import complete, finished, show
from tests.studio.served import ask, running

pytestmark = pytest.mark.browser


def model_for(data, folder, name: str, **arguments):
    """A network with drawn weights for the classes of the data."""
    from pellucid.checkpoint import Manifest, save_model
    from pellucid.models.base import build_model
    from pellucid.preprocess import Preprocess

    torch.manual_seed(0)
    dataset = open_dataset(data)
    network = unsettled(build_model(name, len(dataset.classes), **arguments))
    rule = {"classify": "stretch", "segment": "scale", "detect": "letterbox"}[dataset.task]
    side = 32 if dataset.task != "detect" else 64
    preprocess = Preprocess((side, side), rule, 3, (0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
    path = folder / "model.safetensors"
    save_model(path, network, Manifest(dataset.task, dataset.classes, preprocess, learnt={"threshold": 1e-4}))
    return path


@pytest.fixture(scope="module")
def subject(tmp_path_factory) -> Subject:
    folder = tmp_path_factory.mktemp("mistakes")
    data = make_color_folder(folder / "data")
    return Subject(model_for(data, folder, "resnet20"), None, None, str(data))


@pytest.fixture(scope="module")
def address(subject):
    with running(None, subject) as found:
        finished(found, "/mistakes")
        yield found


@pytest.fixture(scope="module")
def logits(subject):
    """(labels, logits) of the validation split, as a user would compute them."""
    predictor = load_predictor(subject.model, "cpu")
    dataset = open_dataset(subject.data)
    records = dataset.split("val")
    outputs = [next(predictor.outputs([dataset.image(record).pixels]))[0]["logits"] for record in records]
    return np.array([record.label for record in records]), np.stack(outputs)


def test_the_largest_losses_come_first(address, logits, page):
    labels, found = logits
    losses = functional.cross_entropy(torch.from_numpy(found), torch.from_numpy(labels), reduction="none").numpy()
    show(page, f"{address}/mistakes")
    shown = [int(one.get_attribute("id")[5:]) for one in page.locator("#images .pictures a").all()]
    np.testing.assert_allclose(losses[shown], np.sort(losses)[::-1][: len(shown)], rtol=1e-4)
    first = page.locator("#images figcaption").first.inner_text()
    assert f"loss {losses.max():.3f}"[:10] in first


def test_the_confusion_is_counted_and_a_cell_leads_to_its_images(address, logits, page):
    labels, found = logits
    said = found.argmax(1)
    counts = np.zeros((found.shape[1],) * 2, int)
    np.add.at(counts, (labels, said), 1)
    show(page, f"{address}/mistakes")
    cells = page.locator("#confusion tbody td").all_inner_texts()
    assert [int(cell) for cell in cells] == counts.flatten().tolist()
    wrong = np.argwhere(counts * (1 - np.eye(len(counts), dtype=int)))
    row, column = wrong[0].tolist()
    page.locator(f"#cell-{row}-{column}").click()
    page.wait_for_selector("#images h2:has-text('taken for')")
    shown = {int(one.get_attribute("id")[5:]) for one in page.locator("#images .pictures a").all()}
    assert shown <= set(np.flatnonzero((labels == row) & (said == column)).tolist())
    assert len(shown) == min(48, counts[row, column])


def test_an_image_opens_the_reasons_of_its_mistake(address, logits, page):
    labels, found = logits
    show(page, f"{address}/mistakes")
    wrong = next(
        at
        for at in (int(one.get_attribute("id")[5:]) for one in page.locator("#images .pictures a").all())
        if found[at].argmax() != labels[at]
    )
    page.locator(f"#image{wrong}").click()
    page.wait_for_selector("h1:has-text('against')")
    complete(page)
    classes = sorted(COLORS)
    assert page.locator("h1").inner_text() == f"Why {classes[found[wrong].argmax()]} against {classes[labels[wrong]]}"
    assert f"image={wrong}" in page.url


def test_findings_are_those_of_the_examination(address, subject, page):
    report = health_of(subject.model, subject.data)
    show(page, f"{address}/mistakes")
    shown = page.locator("#findings .findings li").all_inner_texts()
    assert len(shown) == max(1, len(report.findings))
    for line, finding in zip(shown, report.findings, strict=False):
        assert finding.text in line
        assert finding.cure in line
        assert finding.command in line


def test_progress_is_told_while_images_are_judged(subject):
    predictor = load_predictor(subject.model, "cpu")
    photos, progress = photos_of(subject, predictor), Progress()
    assert isinstance(photos, Split)
    found = judged(subject.model, photos, progress)
    assert progress.done == progress.images == len(found.rows) == len(photos)


def test_who_stops_the_studio_does_not_wait_for_what_is_computed(subject):
    command = [sys.executable, "-m", "pellucid", "studio", str(subject.model), subject.data, "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=os.environ | {"PYTHONUNBUFFERED": "1"}, **pipes) as started:
        address = started.stdout.readline().strip()
        assert b"data-later" in ask(address, "/mistakes").body
        started.send_signal(signal.SIGINT)
        _, said = started.communicate(timeout=20)
    assert (started.returncode, said) == (130, "Stop with Ctrl-C.\n")


@pytest.mark.parametrize("task", ["segment", "detect"])
def test_masks_and_boxes_are_judged_too(task, tmp_path):
    make = make_mask_folder if task == "segment" else make_box_table
    data = make(tmp_path / "data", {"train": 4, "val": 3})
    model = model_for(data, tmp_path, *(["fcn_compact"] if task == "segment" else ["yolo_n"]), **SMALL[task])
    subject = Subject(model, None, None, str(data))
    photos = photos_of(subject, load_predictor(model, "cpu"))
    found = judged(model, photos, Progress())
    assert sorted(one.image for one in found.rows) == [0, 1, 2]
    assert all(np.isfinite(one.loss) and one.loss > 0 for one in found.rows)
    assert [one.loss for one in found.rows] == sorted((one.loss for one in found.rows), reverse=True)
    assert found.confusion.sum() == sum(sum(one.pairs.values()) for one in found.rows)
    with running(None, subject) as address:
        body = finished(address, "/mistakes").body.decode()
    assert body.count('class="pictures"') == 1


SMALL = {"segment": {"width": 4}, "detect": {"share": 1 / 4}}


def test_a_wrong_cell_is_told(address):
    for cell in ("9,9", "1", "a"):
        answer = ask(address, f"/mistakes?cell={cell}")
        assert answer.status == 400
        assert "cell=" in answer.body.decode()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_fits_the_screen(address, browser, scheme, width):
    with watched_page(browser, viewport={"width": width, "height": 800}, color_scheme=scheme) as window:
        show(window, f"{address}/mistakes")
        assert too_wide(window) == []
        assert not [(ratio, text) for ratio, text in text_contrasts(window) if ratio < 4.5]
