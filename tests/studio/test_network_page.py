"""The page Network in a browser: its numbers and pictures are those of the recorded pass."""

import io

import numpy as np
import pytest
from PIL import Image

from pellucid.inspection.fields import box_around, seen
from pellucid.studio.address import Address
from pellucid.studio.chosen import choose, contributions
from pellucid.studio.sprites import INKS, SCALES
from tests.browser import text_contrasts, too_wide, watched_page
from tests.studio.glass import canvas_pixels, exact, finished, look_of, looking, plain, show
from tests.studio.served import ask

pytestmark = pytest.mark.browser

TASKS = ("classify", "segment", "detect")


@pytest.fixture(scope="module")
def glass(tmp_path_factory):
    with looking("classify", tmp_path_factory.mktemp("glass")) as found:
        yield found


def diverging(plane: np.ndarray, limit: float, theme: str) -> np.ndarray:
    """The colours of a plane, straight from the nine stops of the scale."""
    stops = np.array([[int(stop[at : at + 2], 16) for at in (0, 2, 4)] for stop in SCALES[theme].split()], float)
    place = (np.rint(100 * plane / limit) + 100) / 25
    low = np.minimum(place.astype(int), 7)
    share = (place - low)[..., None]
    return np.rint(stops[low] * (1 - share) + stops[low + 1] * share).astype(np.uint8)


@pytest.mark.parametrize("task", TASKS)
def test_every_operation_of_the_pass_is_in_the_strip(task, browser, tmp_path):
    with looking(task, tmp_path) as (address, session), watched_page(browser, java_script_enabled=False) as window:
        trace = look_of(session).trace
        window.goto(f"{address}/network")
        window.wait_for_selector(".strip")
        names = window.locator(".strip a").evaluate_all("(all) => all.map((one) => one.title)")
        assert names == [operation.name for operation in trace]
        assert f"{sum(one.macs or 0 for one in trace)}MACs" in plain(
            window.locator("h2 + .note").first.inner_text()
        ).replace(" ", "")


@pytest.mark.parametrize("theme", SCALES)
def test_maps_are_the_recorded_numbers_on_the_scale(glass, browser, theme):
    address, session = glass
    output = look_of(session).trace["layer1.0.conv1"].output
    with watched_page(browser, color_scheme=theme) as window:
        show(window, f"{address}/network?op=layer1.0.conv1")
        picture = window.locator(f".tiles image.on-{theme}").first
        assert picture.is_visible()
        channels = window.locator(".tiles a").evaluate_all("(all) => all.map((one) => Number(one.id.slice(7)))")
        planes = np.concatenate([output[0, channel].double().numpy() for channel in channels])
        drawn = canvas_pixels(window, picture.get_attribute("href"))
    np.testing.assert_array_equal(drawn, diverging(planes, float(output.abs().max()), theme))


def test_the_strip_shows_the_channel_that_gives_most(glass):
    """Opaque where a number is large, clear where it is zero, in one ink a sign."""
    address, session = glass
    trace = look_of(session).trace
    drawn = np.array(Image.open(io.BytesIO(ask(address, "/strip.png").body)).convert("RGBA"))
    maps = [one for one in trace if one.output.ndim == 4]
    assert drawn.shape == (36 * len(maps), 36, 4)
    for at, one in enumerate(maps[:12]):
        shares = (one.output.double() * one.gradients[0].double())[0].sum((1, 2))
        plane = one.output[0, int(shares.abs().argmax())].double().numpy()
        rows, columns = ((2 * np.arange(36) + 1) * side // 72 for side in plane.shape)
        small = plane[np.ix_(rows, columns)]
        tile = drawn[36 * at : 36 * at + 36]
        np.testing.assert_allclose(tile[..., 3] / 255, np.abs(small) / np.abs(small).max(), atol=0.01)
        inked = tile[..., 3] > 8
        np.testing.assert_array_equal(tile[..., 0][inked] == INKS[1][0], small[inked] > 0)


def test_channels_stand_in_the_order_of_what_they_give(glass, page):
    address, session = glass
    operation = look_of(session).trace["layer2.0.conv1"]
    shares = (operation.output.double() * operation.gradients[0].double())[0].sum((1, 2))
    show(page, f"{address}/network?op=layer2.0.conv1")
    assert page.locator(".tiles:not(.small) a").count() == 6
    page.locator("#all").click()
    page.wait_for_selector("#all:has-text('first')")
    shown = [exact(one) for one in page.locator(".tiles:not(.small) figcaption data").all()]
    assert shown == sorted(shares.tolist(), key=lambda share: -abs(share))
    assert "all=1" in page.url


def test_kernels_are_the_weights_of_the_channel(glass, page):
    address, session = glass
    weight = look_of(session).trace["conv1"].arguments[1].detach()[5]
    show(page, f"{address}/network?op=conv1&channel=5")
    drawn = canvas_pixels(page, page.locator(".tiles.small image.on-light").first.get_attribute("href"))
    planes = weight.double().numpy().reshape(-1, weight.shape[-1])
    np.testing.assert_array_equal(drawn, diverging(planes, float(weight.abs().max()), "light"))


def test_a_number_is_picked_by_pointer_and_by_fields(glass, page):
    address, session = glass
    output = look_of(session).trace["layer1.0.conv1"].output
    show(page, f"{address}/network?op=layer1.0.conv1&channel=3")
    box = page.locator(".pick svg").bounding_box()
    page.locator(".pick svg").click(position={"x": box["width"] * 12.5 / 32, "y": box["height"] * 7.5 / 32})
    page.wait_for_selector("#number h2:has-text('[3, 7, 12]')")
    assert exact(page.locator("#number .sum data")) == float(output[0, 3, 7, 12])
    page.locator("input[name=row][type=number]").fill("0")
    page.locator("input[name=row][type=number]").press("Enter")
    page.wait_for_selector("#number h2:has-text('[3, 0, 12]')")
    assert exact(page.locator("#number .sum data")) == float(output[0, 3, 0, 12])
    assert page.evaluate("document.activeElement.name") == "row"
    page.go_back()
    page.wait_for_selector("#number h2:has-text('[3, 7, 12]')")


def test_the_frame_is_what_the_number_was_made_of(glass, page):
    address, session = glass
    look = look_of(session)
    show(page, f"{address}/network?op=layer3.0.conv1&channel=1&row=0&column=5")
    left, top, right, bottom = box_around(seen(look.trace, "layer3.0.conv1", (0, 5)))
    frame = page.locator(".view .frame")
    shown = [float(frame.get_attribute(name)) for name in ("x", "y", "width", "height")]
    assert shown == [left, top, right - left, bottom - top]


def test_costs_are_those_of_the_trace(glass, page):
    address, session = glass
    operation = look_of(session).trace["layer2.1.conv2"]
    show(page, f"{address}/network?op=layer2.1.conv2")
    told = plain(page.locator(".panel:has(h2:text-is('What it costs'))").inner_text())
    assert str(operation.params) in told
    assert str(operation.macs) in told
    assert str(operation.bytes) in told


def test_the_keyboard_goes_through_the_strip(glass, page):
    address, _ = glass
    show(page, f"{address}/network")
    page.locator("#op1").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "op2"
    page.keyboard.press("Enter")
    page.wait_for_selector("#op2[aria-current]")
    assert page.evaluate("document.activeElement.id") == "op2", "the focus stays where it was"
    assert page.locator("#spoken").inner_text().startswith("bn1[")
    assert "op=bn1" in page.url


def test_logits_stand_by_the_names_of_their_classes(glass, page):
    address, session = glass
    look = look_of(session)
    show(page, f"{address}/network?op=fc")
    rows = page.locator(".panel:has(h2:has-text('Numbers of fc')) tr:has(th[scope=row])")
    shown = {row.locator("th").inner_text(): exact(row.locator("data").first) for row in rows.all()}
    assert shown == dict(zip(session.classes, look.trace["fc"].output[0].double().tolist(), strict=True))


def test_blocks_that_repeat_are_folded_until_chosen(glass, page):
    address, _ = glass
    show(page, f"{address}/network?op=conv1")
    assert not page.locator("a[title='layer1.2.conv1']").is_visible()
    show(page, f"{address}/network?op=layer1.2.conv1")
    assert page.locator("a[title='layer1.2.conv1']").is_visible()


def test_what_an_address_has_wrong_is_told(glass):
    address, _ = glass
    for query, told in (
        ("op=conv7", "No operation is called"),
        ("op=conv1&channel=99", "channel=99"),
        ("op=conv1&channel=0&row=99&column=0", "Place 99,0"),
        ("target=class:cow", "cow"),
        ("image=4", "image=4"),
        ("channel=-1", "whole number"),
    ):
        answer = finished(address, f"/network?{query}")
        assert answer.status == 400, query
        assert told in answer.body.decode(), query
    assert ask(address, "/maps.png?op=conv1&channels=99").status == 400
    assert ask(address, "/maps.png?op=conv1&channels=1&theme=pink").status == 400


def test_the_page_of_a_name_holds_no_markup_of_it(tmp_path, glass):
    address, _ = glass
    body = ask(address, "/network?op=%3Cscript%3E").body.decode()
    assert "<script>" not in body


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("path", ["/network?op=layer1.0.conv1", "/why?follow=1"])
def test_pages_fit_the_screen_and_are_readable(glass, browser, scheme, width, path):
    address, _ = glass
    with watched_page(browser, viewport={"width": width, "height": 800}, color_scheme=scheme) as window:
        show(window, f"{address}{path}")
        assert too_wide(window) == []
        poor = [(ratio, text) for ratio, text in text_contrasts(window) if ratio < 4.5]
        assert not poor
        unnamed = window.evaluate(
            "[...document.querySelectorAll('a, button, input:not([type=hidden]), select')]"
            ".filter((one) => !(one.textContent.trim() || one.title || one.labels?.length || one.ariaLabel)).length"
        )
        assert unnamed == 0


def test_contributions_add_up_to_the_account(glass):
    _, session = glass
    look = look_of(session)
    chosen = choose(look, Address("/network", {"op": "fc"}))
    assert chosen.channel == look.target.name
    assert float(contributions(look.trace["fc"]).sum()) == pytest.approx(float(look.trace["fc"].output[0].max()))
