"""A real browser for tests of pages: `page` fails on anything that goes wrong or reaches out.

A test takes `page`; or `browser`, and opens windows of its own by `watched_page(browser, viewport=…)`.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def chromium() -> str:
    """The path of the system's Chromium; without one the test is skipped, or fails where nothing may be missing."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found:
        return found
    reason = "no chromium on the PATH (on Debian: apt-get install chromium)"
    if os.environ.get("PELLUCID_CI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for the whole session."""
    path = chromium()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A light window of 1280 x 900 that must stay without a fault."""
    with watched_page(browser) as window:
        yield window


@contextmanager
def watched_page(browser: Browser, **options) -> Iterator[Page]:
    """A new window; at the end, any console error, page error, failed request or foreign request fails the test."""
    faults: list[str] = []
    context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
    window = context.new_page()
    window.set_default_timeout(10_000)
    window.on("console", lambda message: _note_message(faults, message))
    window.on("pageerror", lambda error: faults.append(f"page error: {error}"))
    window.on("requestfailed", lambda request: _note_failure(faults, request))
    window.on("request", lambda request: _note_request(faults, request.url))
    try:
        yield window
    finally:
        context.close()
    assert not faults, "\n".join(faults)


def _note_message(faults: list[str], message) -> None:
    if message.type in ("error", "warning"):
        faults.append(f"console {message.type}: {message.text}")


def _note_failure(faults: list[str], request) -> None:
    if request.failure != "net::ERR_ABORTED":  # which is what becomes of a request when its page is left
        faults.append(f"failed request: {request.url[:200]}: {request.failure}")


def _note_request(faults: list[str], url: str) -> None:
    parts = urlsplit(url)
    inside = parts.scheme in ("file", "data", "blob", "about") or parts.hostname in LOOPBACK
    if not inside:
        faults.append(f"request to another host: {url[:200]}")


TEXT_CONTRAST = """() => {
  const parse = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const blend = (over, under) => {
    const alpha = over[3] ?? 1;
    return [0, 1, 2].map((i) => over[i] * alpha + under[i] * (1 - alpha));
  };
  const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = (c) => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
  const ground = (element) => {
    const layers = [];
    for (let here = element; here; here = here.parentElement) {
      layers.push(parse(getComputedStyle(here).backgroundColor));
    }
    return layers.reverse().reduce((under, over) => blend(over, under), [255, 255, 255]);
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.getClientRects().length) continue;
    if (["SCRIPT", "STYLE", "title", "desc"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const under = ground(element);
    const ink = blend(parse(element instanceof SVGElement ? style.fill : style.color), under);
    const [light, dark] = [luminance(ink), luminance(under)].sort((a, b) => b - a);
    found.push([(light + 0.05) / (dark + 0.05), walker.currentNode.textContent.trim().slice(0, 40)]);
  }
  return found;
}"""


def text_contrasts(window: Page) -> list[tuple[float, str]]:
    """Contrast (WCAG 2) of every visible text with what lies under it, and the text's beginning."""
    return [(ratio, text) for ratio, text in window.evaluate(TEXT_CONTRAST)]


def too_wide(window: Page) -> list[str]:
    """What reaches beyond the right edge of a page that has to be scrolled sideways; nothing where it has not."""
    return window.evaluate(
        """() => {
          const { scrollWidth, clientWidth } = document.documentElement;
          if (scrollWidth <= clientWidth) return [];
          const beyond = (element) => element.getBoundingClientRect().right > clientWidth + 0.5;
          const told = ({ tagName, id, className, textContent }) =>
            `${tagName} #${id} .${className} ${textContent.slice(0, 40)}`;
          return [`${scrollWidth} > ${clientWidth}`, ...[...document.querySelectorAll("*")].filter(beyond).map(told)];
        }"""
    )
