"""The studio's pages in a browser: first paint, and what a step, a hover, an edit or a click cost until it is drawn.

python -m benchmarks.studio [MODEL PHOTO]
"""

import os
import platform
import socket
import statistics
import sys
import threading
import time

import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright
from tests.browser import FLAGS, chromium

from pellucid.studio.app import build_app
from pellucid.studio.subject import Subject, subject_of

CASES = {
    "first example": "#preset=conv-3x3",
    "16 x 16, 3 x 3": "#size=16",
    "16 x 16, 7 x 7": "#preset=resnet-conv1",
    "16 x 16, 7 x 7, stride 1": "#preset=resnet-conv1&stride=1",
    "3 to 3 channels of 16 x 16, 3 x 3": "#size=16&in_channels=3&out_channels=3",
    "8 to 8 channels of 16 x 16, 3 x 3": "#size=16&in_channels=8&out_channels=8",
}
LOADS = 15
PAINTED = """() => new Promise((resolve) => new PerformanceObserver((list) => {
  const paint = list.getEntriesByName('first-contentful-paint')[0];
  if (paint) resolve(paint.startTime);
}).observe({ type: 'paint', buffered: true }))"""
ROUNDS = 60

# Each action is timed from the event to the end of a forced layout.
MEASURE = """(rounds) => {
  const timed = (act) => {
    const start = performance.now();
    act();
    document.body.getBoundingClientRect();
    return performance.now() - start;
  };
  const cells = [...document.querySelectorAll('#left td:not(.pad)')];
  const hover = (cell) => cell.dispatchEvent(new PointerEvent('pointerover', { bubbles: true }));
  const opened = (cell, round) => {
    cell.dispatchEvent(new MouseEvent('dblclick', { bubbles: true }));
    const input = cell.querySelector('input');
    input.value = String((round % 9) - 4);
    document.body.getBoundingClientRect();
    return input;
  };
  const edit = (cell, round) => {
    const input = opened(cell, round);
    return timed(() => input.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter' })));
  };
  const all = (act) => Array.from({ length: rounds }, (_, round) => timed(() => act(round)));
  return {
    step: all(() => document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true }))),
    hover: all((round) => hover(cells[(round * 7) % cells.length])),
    edit: Array.from({ length: rounds }, (_, round) => edit(cells[(round * 5) % cells.length], round)),
  };
}"""


def started(subject: Subject | None = None) -> tuple[uvicorn.Server, str]:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(build_app(port, None, subject), log_level="error", lifespan="off"))
    threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    return server, f"http://127.0.0.1:{port}/arithmetic"


def first_paints(browser: Browser, address: str, ready: str) -> list[float]:
    """Milliseconds from navigation to first contentful paint, each in a fresh context without a cache."""
    found = []
    for _ in range(LOADS):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        window = context.new_page()
        window.goto(address)
        window.wait_for_selector(ready)
        found.append(window.evaluate(PAINTED))
        context.close()
    return found


def sent(browser: Browser, address: str) -> int:
    """Bytes of the page and all it loads."""
    window = browser.new_page()
    sizes: list[int] = []
    window.on("response", lambda response: sizes.append(len(response.body())))
    window.goto(address, wait_until="networkidle")
    window.close()
    return sum(sizes)


def actions(window: Page, address: str, fragment: str) -> dict[str, list[float]]:
    window.goto("about:blank")
    window.goto(address + fragment)
    window.wait_for_selector("html[data-ready]")
    window.evaluate(MEASURE, 10)
    return window.evaluate(MEASURE, ROUNDS)


# A click is timed to the frame in which what it asked for is drawn.
CLICK = """([selector, at]) => new Promise((resolve) => {
  const links = [...document.querySelectorAll(selector)].filter((one) => one.getClientRects().length);
  const start = performance.now();
  new MutationObserver((_, observer) => {
    const main = document.getElementById('main');
    if (main.getAttribute('aria-busy') === 'true' || main.dataset.later) return;
    observer.disconnect();
    main.getBoundingClientRect();
    requestAnimationFrame(() => resolve(performance.now() - start));
  }).observe(document.body, { childList: true });
  links[at % links.length].click();
})"""
CLICKS = {
    "choose an operation": ("/network", ".strip a"),
    "choose a channel": ("/network?op=OP", ".tiles:not(.small) a"),
    "follow a term": ("/why", "#hop tr a"),
    "bars by another measure": ("/cost", ".choice a"),
}
WARM = ("/network", "/why", "/cost")


def measure_model(browser: Browser, model: str, photo: str) -> None:
    """First paints and clicks of the pages of a model whose pass is recorded."""
    server, address = started(subject_of(model, photo))
    base = address.removesuffix("/arithmetic")
    window = browser.new_page(viewport={"width": 1280, "height": 900})
    window.set_default_timeout(60_000)
    for path in WARM:
        begun = time.perf_counter()
        window.goto(base + path)
        window.wait_for_selector("main:not([data-later])")
        print(f"{path + ', all of it, the first time':<36}{1e3 * (time.perf_counter() - begun):7.0f}")
    for path in WARM:
        print(
            f"{path + ', first paint':<36}{row(first_paints(browser, base + path, 'html[data-ready]'))}   n = {LOADS}"
        )
    operation = window.goto(base + "/network") and window.locator(".strip a").nth(1).get_attribute("title")
    for name, (path, selector) in CLICKS.items():
        found = []
        for at in range(LOADS):
            window.goto(base + path.replace("OP", str(operation)))
            window.wait_for_selector("html[data-ready]")
            found.append(window.evaluate(CLICK, [selector, at]))
        print(f"{name:<36}{row(found)}   n = {LOADS}")
    window.close()
    server.should_exit = True


def row(values: list[float]) -> str:
    return f"{statistics.median(values):7.1f} {statistics.quantiles(values, n=20)[-1]:7.1f}"


def main() -> None:
    server, address = started()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        print(f"{platform.machine()}, {os.cpu_count()} cores, Chromium {browser.version}; milliseconds, median and p95")
        print(f"page, styles and modules {sent(browser, address) / 1024:.0f} KiB")
        drawing = address.replace("arithmetic", "static/icon.svg")
        print(f"{'first paint':<36}{row(first_paints(browser, address, 'html[data-ready]'))}   n = {LOADS}")
        print(f"{'first paint of the icon alone':<36}{row(first_paints(browser, drawing, 'svg'))}   n = {LOADS}")
        print(f"\n{'n = ' + str(ROUNDS):<36}{'step':>15}{'hover':>18}{'edit':>18}")
        window = browser.new_page(viewport={"width": 1280, "height": 900})
        for name, fragment in CASES.items():
            found = actions(window, address, fragment)
            print(f"{name:<36}" + "   ".join(row(found[action]) for action in ("step", "hover", "edit")))
        window.close()
        if sys.argv[1:]:
            print(f"\n{sys.argv[1]}")
            measure_model(browser, *sys.argv[1:3])
        browser.close()
    server.should_exit = True


if __name__ == "__main__":
    main()
