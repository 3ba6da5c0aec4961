"""`<photo-filter>`: what its canvas shows is, byte for byte, what `pellucid filter` writes."""

import base64
import io
import time

import numpy as np
import pytest
from PIL import Image

from pellucid.ops.kernels import KERNELS, Kernel, make_kernel, read_kernel
from pellucid.ops.responses import filter_image
from tests.browser import text_contrasts, too_wide, watched_page

pytestmark = pytest.mark.browser

PAGE = "<!doctype html><html lang='en'><meta charset='utf-8'><title>photo</title><body></body></html>"
POLICY = {"Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:", "Content-Type": "text/html"}
SMALL, LARGE = (120, 90), (700, 500)  # width, height; the large one is filtered beside the page

# A new element; when it has drawn, the bytes of its canvas and what it says.
SHOW = """async ([source, kernel, show]) => {
  await import('/static/photo/photo-filter.js');
  const element = document.createElement('photo-filter');
  document.body.replaceChildren(element);
  const done = new Promise((resolve) => element.addEventListener('filtered', resolve, { once: true }));
  Object.assign(element, { kernel, show, source });
  await done;
}"""
CANVAS = """(kind) => {
  const canvas = document.querySelector(`photo-filter .${kind}`);
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let text = '';
  for (let at = 0; at < data.length; at += 8192) text += String.fromCharCode(...data.subarray(at, at + 8192));
  return { width: canvas.width, height: canvas.height, bytes: btoa(text) };
}"""


def drawn(size: tuple[int, int], channels: int = 3) -> np.ndarray:
    """Shapes, a gradient and noise."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    plain = np.stack([2 * x, 3 * y, 90 + 120 * ((x // 20 + y // 15) % 2)], axis=-1)[..., :channels]
    noise = np.random.default_rng(width).integers(-20, 20, plain.shape)
    return np.clip(plain % 256 + noise, 0, 255).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG")
    return file.getvalue()


PICTURES = {"small": drawn(SMALL), "large": drawn(LARGE), "grey": drawn(SMALL, 1), "pixel": drawn((1, 1))}


@pytest.fixture
def window(browser, studio):
    """An empty page of the studio's origin and policy, where `/NAME.png` is one of the pictures."""
    with watched_page(browser) as page:
        page.route("**/blank", lambda route: route.fulfill(body=PAGE, headers=POLICY))
        for name, pixels in PICTURES.items():
            page.route(f"**/{name}.png", answer_with(png(pixels)))
        page.goto(f"{studio}/blank")
        yield page


def answer_with(content: bytes):
    return lambda route: route.fulfill(body=content, headers={"Content-Type": "image/png"})


def sent(kernel: Kernel) -> dict:
    return {"shape": list(kernel.values.shape), "values": kernel.values.ravel().tolist()}


def pixels_of(window, kind: str = "photo-result") -> np.ndarray:
    found = window.evaluate(CANVAS, kind)
    pixels = np.frombuffer(base64.b64decode(found["bytes"]), np.uint8)
    pixels = pixels.reshape(found["height"], found["width"], 4)
    assert (pixels[..., 3] == 255).all()
    return pixels[..., :3]


def said(window) -> str:
    return window.locator("photo-filter .photo-said").inner_text()


random = np.random.default_rng(3)
OWN = [
    make_kernel(random.normal(size=(3, 3))),
    make_kernel(random.normal(size=(4, 2))),
    make_kernel(np.outer(random.normal(size=7), random.normal(size=5))),
    make_kernel(np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256),
    make_kernel(random.integers(-9, 10, (11, 11)) / 10),
    make_kernel([[0.5]]),
    make_kernel([[0.125, -1]]),
    make_kernel([[0, 0], [0, 0]]),
]


@pytest.mark.parametrize("show", [None, "clip", "absolute", "signed", "stretch"])
def test_the_canvas_is_pythons_picture(show, window):
    """The two differ in no byte, and say the same."""
    for kernel in (*KERNELS.values(), *OWN):
        window.evaluate(SHOW, ["/small.png", sent(kernel), show])
        wanted = filter_image(PICTURES["small"], kernel, show=show)
        assert np.array_equal(pixels_of(window), wanted.pixels), kernel
        assert said(window) == wanted.text()
    assert np.array_equal(pixels_of(window, "photo-original"), PICTURES["small"])


@pytest.mark.parametrize("name", ["large", "grey", "pixel"])
def test_any_picture(name, window):
    for kernel, show in (("edge", None), ("gaussian", None), ("box:4", "signed"), ("roberts", "stretch")):
        window.evaluate(SHOW, [f"/{name}.png", sent(read_kernel(kernel)), show])
        wanted = filter_image(PICTURES[name], read_kernel(kernel), show=show)
        assert (pixels_of(window) == wanted.pixels).all()
        assert said(window) == wanted.text()


@pytest.mark.parametrize("name", ["small", "large"])
def test_of_many_edits_the_last_one_stays(name, window):
    window.evaluate(SHOW, [f"/{name}.png", sent(KERNELS["box"]), None])
    window.evaluate("""async (last) => {
      const element = document.querySelector('photo-filter');
      for (let step = 0; step < 30; step++) {
        element.kernel = { shape: [3, 3], values: [0, 1, 0, 1, step, 1, 0, 1, 0] };
        if (step % 10 === 9) await new Promise(requestAnimationFrame);
      }
      element.kernel = last;
    }""", sent(KERNELS["emboss"]))  # fmt: skip
    wanted = filter_image(PICTURES[name], KERNELS["emboss"])
    window.wait_for_function("(text) => document.querySelector('.photo-said').textContent === text", arg=wanted.text())
    assert np.array_equal(pixels_of(window), wanted.pixels)


def test_the_last_picture_stays_until_the_new_one_is_there(window):
    window.evaluate(SHOW, ["/large.png", sent(KERNELS["box"]), None])
    before = window.evaluate("""() => {
      const element = document.querySelector('photo-filter');
      element.kernel = { shape: [1, 1], values: [0.5] };
      const { data } = element.querySelector('.photo-result').getContext('2d').getImageData(350, 250, 1, 1);
      return [...data].slice(0, 3);
    }""")
    assert before == filter_image(PICTURES["large"], KERNELS["box"]).pixels[250, 350].tolist()


def test_a_photograph_of_ones_own_stays_here(window):
    window.evaluate(SHOW, ["/small.png", sent(KERNELS["sobel-x"]), None])
    asked = []
    window.on("request", lambda request: asked.append(request.url))
    own = drawn((64, 48))
    back = window.get_by_role("button", name="Back to the example")
    assert back.is_hidden()
    window.get_by_label("Choose a photograph").set_input_files(
        {"name": "mine.png", "mimeType": "image/png", "buffer": png(own)}
    )
    back.wait_for()
    wait_for_size(window, 64)
    assert np.array_equal(pixels_of(window), filter_image(own, KERNELS["sobel-x"]).pixels)
    assert [url for url in asked if not url.startswith("blob:")] == []
    back.click()
    wait_for_size(window, SMALL[0])
    assert np.array_equal(pixels_of(window), filter_image(PICTURES["small"], KERNELS["sobel-x"]).pixels)


def wait_for_size(window, width: int) -> None:
    window.wait_for_function("(width) => document.querySelector('.photo-result').width === width", arg=width)


DROP = """async (bytes) => {
  const files = new DataTransfer();
  files.items.add(new File([Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0))], 'mine.png'));
  const element = document.querySelector('photo-filter');
  element.dispatchEvent(new DragEvent('dragover', { dataTransfer: files, bubbles: true, cancelable: true }));
  const marked = element.classList.contains('dropping');
  const done = new Promise((resolve) => element.addEventListener('filtered', resolve, { once: true }));
  element.dispatchEvent(new DragEvent('drop', { dataTransfer: files, bubbles: true, cancelable: true }));
  await done;
  return [marked, element.classList.contains('dropping')];
}"""


def test_a_photograph_is_dropped(window):
    window.evaluate(SHOW, ["/small.png", sent(KERNELS["box"]), None])
    own = drawn((30, 20))
    assert window.evaluate(DROP, base64.b64encode(png(own)).decode()) == [True, False]
    assert np.array_equal(pixels_of(window), filter_image(own, KERNELS["box"]).pixels)


def test_what_is_no_picture_is_said_and_the_old_one_stays(window):
    window.evaluate(SHOW, ["/small.png", sent(KERNELS["box"]), None])
    before = pixels_of(window)
    window.get_by_label("Choose a photograph").set_input_files(
        {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"not a picture"}
    )
    window.get_by_role("alert").filter(has_text="notes.txt cannot be read as a picture").wait_for()
    assert np.array_equal(pixels_of(window), before)


def test_a_large_photograph_is_made_smaller_and_that_is_said(window):
    window.evaluate(SHOW, ["/small.png", sent(KERNELS["box"]), None])
    own = np.zeros((20, 2000, 3), np.uint8)
    window.get_by_label("Choose a photograph").set_input_files(
        {"name": "wide.png", "mimeType": "image/png", "buffer": png(own)}
    )
    wait_for_size(window, 1600)
    assert said(window).endswith("; shown at 1600 × 16 of 2000 × 20 pixels")


def test_it_is_never_laid_out_without_its_style(window):
    """The style comes a second late; what is there before it would make a narrow page too wide for a moment."""
    window.route("**/photo-filter.css", lambda route: (time.sleep(1), route.continue_()))
    first = window.evaluate(
        """async () => {
          document.body.replaceChildren(document.createElement('photo-filter'));
          import('/static/photo/photo-filter.js');
          await customElements.whenDefined('photo-filter');
          return getComputedStyle(document.querySelector('photo-filter .photo-settings')).display;
        }"""
    )
    assert first == "flex"


def test_everyone_can_use_it(window):
    window.evaluate(SHOW, ["/small.png", sent(KERNELS["edge"]), None])
    text = filter_image(PICTURES["small"], KERNELS["edge"]).text()
    assert window.get_by_role("img", name="The photograph before the filter, 120 by 90 pixels").count() == 1
    assert window.get_by_role("img", name=f"The photograph after the filter: {text}").count() == 1
    window.keyboard.press("Tab")
    assert window.evaluate("document.activeElement.tagName") == "SELECT"
    window.get_by_label("Responses shown").select_option(label="zero as mid grey")
    wanted = filter_image(PICTURES["small"], KERNELS["edge"], show="signed")
    window.wait_for_function("(text) => document.querySelector('.photo-said').textContent === text", arg=wanted.text())
    window.keyboard.press("Tab")
    assert window.evaluate("document.activeElement.type") == "file"
    assert min(ratio for ratio, _ in text_contrasts(window)) >= 4.5
    window.set_viewport_size({"width": 360, "height": 800})
    assert too_wide(window) == []


def test_it_speaks_french(window):
    window.evaluate("async () => (await import('/static/show/words.js')).speak('fr')")
    window.evaluate(SHOW, ["/small.png", sent(KERNELS["edge"]), "signed"])
    assert said(window).startswith("bords répétés ; réponses de −")
    assert window.get_by_label("Choisissez une photographie").count() == 1
