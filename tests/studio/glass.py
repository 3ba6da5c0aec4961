"""Models with drawn weights for the pages that look into one, and what Python says of them."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pellucid.checkpoint import Manifest, save_model
from pellucid.models.base import build_model
from pellucid.preprocess import Preprocess
from pellucid.report.numerals import MINUS, THIN_SPACE
from pellucid.studio.address import Address
from pellucid.studio.session import LONG, Look, Session
from pellucid.studio.subject import Subject
from tests.inspection.networks import unsettled
from tests.studio.served import Answer, ask, running

CLASSES = ("bee", "fly", "wasp")
MODELS = {
    "classify": ("resnet20", {}, "stretch", 32),
    "segment": ("fcn8s_resnet18", {}, "scale", 64),
    "detect": ("yolo_n", {"share": 1 / 4}, "letterbox", 64),
}


def make_photo(folder: Path, seed: int = 0) -> Path:
    """Noise, so that no two places are alike."""
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "photo.png")
    return folder / "photo.png"


def make_model(task: str, folder: Path) -> Path:
    torch.manual_seed(0)
    name, arguments, rule, side = MODELS[task]
    model = unsettled(build_model(name, 3, **arguments))
    preprocess = Preprocess((side, side), rule, 3, (0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
    path = folder / "model.safetensors"
    save_model(path, model, Manifest(task, CLASSES, preprocess, learnt={"threshold": 1e-4}))
    return path


@contextmanager
def looking(task: str, folder: Path) -> Iterator[tuple[str, Session]]:
    """A running studio of a model and a photo, and a session that says the same in Python."""
    subject = Subject(make_model(task, folder), None, make_photo(folder))
    with running(None, subject) as address:
        yield address, Session(subject)


def look_of(session: Session, **values: str) -> Look:
    return session.look(Address("/network", values), LONG)


def exact(locator) -> float:
    """The full value that a number on the page carries."""
    return float(locator.get_attribute("value"))


def plain(text: str) -> str:
    return re.sub(f"[{THIN_SPACE}\u202f]", "", text).replace(MINUS, "-")


def show(window, address: str) -> None:
    """Open a page and wait until all of it is there."""
    window.goto(address)
    window.wait_for_selector("html[data-ready]")
    complete(window)


def finished(address: str, path: str) -> Answer:
    """What a page answers once nothing of it is still being computed."""
    while b"data-later" in (answer := ask(address, path)).body:
        time.sleep(0.05)
    return answer


def complete(window) -> None:
    window.wait_for_function(
        "() => { const main = document.getElementById('main');"
        " return main && !main.dataset.later && main.getAttribute('aria-busy') !== 'true'; }"
    )


PIXELS = """async (href) => {
  const image = new Image();
  image.src = href;
  await image.decode();
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return [canvas.height, canvas.width, ...data];
}"""


def canvas_pixels(window, href: str) -> np.ndarray:
    """A picture as the browser draws it, uint8 H W 3."""
    height, width, *values = window.evaluate(PIXELS, href)
    return np.array(values, np.uint8).reshape(height, width, 4)[..., :3]
