"""Explanations as pages: complete without a script, small, and in order on any screen."""

import re
from pathlib import Path

import numpy as np
import pytest

from pellucid.inspection.explaining import explain_file, map_file
from pellucid.inspection.heatmaps import heat_map
from pellucid.inspection.layering import account_layers
from pellucid.inspection.picture import squares
from pellucid.inspection.recording import record
from pellucid.inspection.streams import streams_of
from pellucid.inspection.targets import Class, Pixel
from pellucid.inspection.writing import write_explanation
from tests.browser import too_wide, watched_page
from tests.inspection.test_accounting import built, images
from tests.inspection.test_explaining import make_model, photo  # noqa: F401

KILOBYTES = 400


@pytest.mark.parametrize("task", ["classify", "segment", "detect"])
def test_a_page_says_the_numbers_of_the_account(task, photo, make_model, tmp_path):  # noqa: F811
    found = explain_file(make_model(task), photo)
    write_explanation(tmp_path / "why.html", found)
    text = (tmp_path / "why.html").read_text()
    assert len(text.encode()) <= KILOBYTES * 1000
    for value in (found.account.logit, found.account.input_contribution, found.account.bias_contribution):
        assert repr(float(value)) in text
    assert all(layer.step.name in text for layer in found.layers.layers)
    assert ("Candidates" in text) == (task == "detect")
    assert str(photo.parent) not in text, "a page does not say where its maker keeps the photo"


def test_a_page_loads_nothing(photo, make_model, tmp_path):  # noqa: F811
    write_explanation(tmp_path / "why.html", explain_file(make_model("detect"), photo))
    text = (tmp_path / "why.html").read_text()
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", text)
    assert "style=" not in text, "which the policy of the page forbids"


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_pages_are_in_order_on_any_screen(scheme, width, photo, make_model, tmp_path, browser):  # noqa: F811
    model = make_model("detect")
    write_explanation(tmp_path / "why.html", explain_file(model, photo))
    write_explanation(tmp_path / "map.html", map_file(model, photo))
    for name in ("why.html", "map.html"):
        with watched_page(browser, viewport={"width": width, "height": 800}, color_scheme=scheme) as window:
            opened(window, tmp_path / name)
            assert too_wide(window) == []
            assert window.evaluate("[...document.images].every(one => one.naturalWidth > 0)")
            window.keyboard.press("Tab")
            assert window.evaluate("document.activeElement.className") == "skip"


@pytest.mark.browser
def test_without_a_script_nothing_is_missing(photo, make_model, tmp_path, browser):  # noqa: F811
    found = explain_file(make_model("classify"), photo)
    write_explanation(tmp_path / "why.html", found)
    with watched_page(browser, java_script_enabled=False) as window:
        opened(window, tmp_path / "why.html")
        said = window.locator("body").inner_text()
        assert found.account.badge in said
        sums = squares(found.account.pixels.numpy(), 2)
        assert window.locator(".why svg rect title").count() == (np.abs(sums) > 0.01 * np.abs(sums).max()).sum()
        assert found.layers.layers[-1].step.name in said


def opened(window, path: Path) -> None:
    """Over a route of our own, as `watched_page` counts requests to other hosts."""
    window.route("**/*", lambda route: route.fulfill(path=path, content_type="text/html"))
    window.goto("http://127.0.0.1/")


def test_notebooks_show_what_was_found():
    model = built("fcn8s_resnet18")
    x, target = images(model, 1), Pixel(10, 20, 2)
    layers = account_layers(model, x, target)
    shown = {
        "account": layers.account,
        "layers": layers,
        "streams": streams_of(model, x, target),
        "map": heat_map(model, x, target),
        "trace": record(model, x),
    }
    for name, value in shown.items():
        html = value._repr_html_()
        assert "<table" in html or "<img" in html, name
        assert "<script" not in html
    assert f"{len(shown['trace'])} operations" in shown["trace"]._repr_html_()
    assert "pixel:10,20" in shown["account"]._repr_html_()


def test_a_name_cannot_break_out_of_a_notebook():
    model = built("net")
    html = account_layers(model, images(model, 1), Class(0), ("<b>a", "c", "d", "e", "f"))._repr_html_()
    assert "&lt;b&gt;a" in html
