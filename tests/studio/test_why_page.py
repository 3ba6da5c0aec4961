"""The page Why in a browser: sums, hops and the arithmetic that they open are those of the network."""

import pytest

from pellucid.inspection.accounting import account
from pellucid.inspection.candidates import candidates_of
from pellucid.inspection.recording import INPUT
from pellucid.inspection.streams import streams_of
from pellucid.inspection.terms_of import explain
from pellucid.studio.hops import followed, starts
from tests.browser import watched_page
from tests.studio.glass import complete, exact, look_of, looking, show

pytestmark = pytest.mark.browser

READY = "html[data-ready]"


@pytest.fixture(scope="module")
def glass(tmp_path_factory):
    with looking("classify", tmp_path_factory.mktemp("glass")) as found:
        yield found


def rows(window, panel: str) -> dict[str, float]:
    found = window.locator(f"{panel} tr:has(th[scope=row])")
    return {row.locator("th").inner_text(): exact(row.locator("data").first) for row in found.all()}


@pytest.mark.parametrize("task", ["classify", "segment", "detect"])
def test_the_sum_is_the_account(task, browser, tmp_path):
    with looking(task, tmp_path) as (address, session), watched_page(browser) as window:
        look = look_of(session)
        found = account(session.predictor.model, look.x, look.target, session.classes)
        show(window, f"{address}/why")
        shown = rows(window, "#sum")
        assert shown["pixels"] == pytest.approx(found.input_contribution, rel=1e-9)
        assert shown["biases"] == pytest.approx(found.bias_contribution, rel=1e-9)
        assert exact(window.locator("#sum .sum data")) == found.logit
        assert window.locator("#sum .badge").inner_text() == found.badge == "EXACT"
        assert sum(shown.values()) == pytest.approx(found.logit, rel=1e-4)


def test_another_class_and_a_contrast_are_chosen_by_menus(glass, page):
    address, session = glass
    logits = look_of(session).trace["fc"].output[0].tolist()
    show(page, f"{address}/why")
    page.locator("select[name=target]").select_option("class:fly")
    page.wait_for_function("() => location.search.includes('fly')")
    complete(page)
    page.locator("select[name=versus]").select_option("wasp")
    page.wait_for_selector("h1:has-text('fly against wasp')")
    complete(page)
    assert exact(page.locator("#sum .sum data")) == pytest.approx(logits[1] - logits[2], rel=1e-5)
    assert "The target is made of 1.0000 · fc[1] −1.0000 · fc[2]" in page.locator("#hop").inner_text()
    page.go_back()
    page.wait_for_selector("h1:text-is('Why fly')")


def test_a_term_is_followed_hop_by_hop(glass, page):
    address, session = glass
    look = look_of(session)
    first = starts(session.predictor.model, look.trace, look.target, session.classes)[0]
    path = followed(look.trace, (first,))
    show(page, f"{address}/why")
    for hop in path[:6]:
        page.wait_for_selector(f"#hop h2:text-is('{hop.said}')")
        assert exact(page.locator("#hop .sum data")) == float(look.trace[hop.name].output[(0, *hop.at)])
        page.locator("#hop tr:has(th[scope=row]) a").first.click()
    page.wait_for_selector(f"#hop h2:text-is('{path[6].said}')")
    assert page.locator("#way tr:has(th[scope=row])").count() == 7
    page.go_back()
    page.wait_for_selector(f"#hop h2:text-is('{path[5].said}')")


def test_following_ends_in_a_pixel_of_the_image(glass, page):
    address, session = glass
    look = look_of(session)
    first = starts(session.predictor.model, look.trace, look.target, session.classes)[0]
    path = followed(look.trace, (first,))
    show(page, f"{address}/why")
    page.locator("#follow").click()
    page.wait_for_selector("#hop h2:has-text('input[')")
    assert rows(page, "#way") == {hop.said: float(look.trace[hop.name].output[(0, *hop.at)]) for hop in path}
    assert path[-1].name == INPUT
    frame = page.locator(".view .frame")
    assert [float(frame.get_attribute(name)) for name in ("y", "x", "width", "height")] == [*path[-1].at[1:], 1, 1]


def test_every_hop_opens_its_arithmetic_with_the_real_numbers(glass, page):
    """The page Arithmetic computes the sum anew, and its total is the network's own number."""
    address, session = glass
    look = look_of(session)
    show(page, f"{address}/why?follow=1")
    links = page.locator("#way a:text-is('Arithmetic')").evaluate_all("(all) => all.map((one) => one.href)")
    names = page.locator("#way tr:has(a:text-is('Arithmetic')) th").all_inner_texts()
    kinds = set()
    for name, link in zip(names, links, strict=True):
        operation = look.trace[name.partition("[")[0]]
        if operation.kind in kinds:
            continue
        kinds.add(operation.kind)
        place = tuple(map(int, name.partition("[")[2][:-1].split(",")))
        page.goto("about:blank")
        page.goto(link)
        page.wait_for_selector(READY)
        assert page.locator("#problem").is_hidden()
        assert page.locator("#title").inner_text() == name
        assert page.locator("#check").inner_text().startswith("Σ ✓")
        total = float(page.locator("#total").get_attribute("title").replace("−", "-"))
        found = explain(look.trace, operation.name, place)
        assert total == pytest.approx(found.value, abs=max(found.bound, 1e-12))
    assert {"linear", "conv2d", "batch_norm", "relu", "add"} <= kinds


def test_arithmetic_keeps_where_its_numbers_come_from(glass, page):
    address, _ = glass
    show(page, f"{address}/network?op=layer3.2.conv2&channel=1&row=3&column=3")
    page.locator("#number a.button").click()
    page.wait_for_selector("#title:text-is('layer3.2.conv2[1, 3, 3]')")
    assert "what 56 more channels give" in page.locator("#lead").inner_text()
    assert "network " in page.locator("#check").inner_text()
    page.locator("#left td").first.dblclick()
    page.locator("#left td input").fill("0.5")
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.hash.includes('x=0.5')")
    assert "from=layer3.2.conv2" in page.evaluate("decodeURIComponent(location.hash)")
    page.locator("#preset").select_option("stride-2")
    page.wait_for_function("() => !location.hash.includes('from=')")
    assert page.locator("#title").inner_text() == "Stride 2"


def test_a_pixel_of_a_mask_is_picked_on_the_photo(browser, tmp_path):
    with looking("segment", tmp_path) as (address, session), watched_page(browser) as window:
        show(window, f"{address}/why")
        box = window.locator(".aim .pick svg").bounding_box()
        at = {"x": box["width"] * 50.5 / 60, "y": box["height"] * 3.5 / 40}
        window.locator(".aim .pick svg").click(position=at)
        window.wait_for_function("() => location.search.includes('y=3') && location.search.includes('x=50')")
        complete(window)
        look = look_of(session, y="3", x="50")
        found = streams_of(session.predictor.model, look.x, look.target, session.classes)
        shown = rows(window, ".panel:has(h2:text-is('Streams'))")
        assert shown == {one.name: pytest.approx(one.contribution, rel=1e-9) for one in found.streams}
        assert sum(shown.values()) == pytest.approx(found.logit, rel=1e-4)


def test_candidates_say_who_suppressed_them(browser, tmp_path):
    with looking("detect", tmp_path) as (address, session), watched_page(browser) as window:
        look = look_of(session)
        found = candidates_of(session.predictor, look.trace.result, look.frame)
        show(window, f"{address}/why")
        table = window.locator("table:has(caption:text-matches('Candidates')) >> nth=0")
        cells = [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]
        by = {row[0]: row[6] for row in cells}
        for at, row in enumerate(found.rows[: len(cells)]):
            assert by[f"#{at}"] == (row.fate if row.by is None else f"suppressed by #{row.by}")
        kept = next(at for at, row in enumerate(found.rows) if at and row.fate == "kept")
        window.locator(f"a:text-is('#{kept}')").first.click()
        window.wait_for_function("() => location.search.includes('target=box')")
        complete(window)
        assert exact(window.locator("#sum .sum data")) == pytest.approx(found.rows[kept].raw, rel=1e-5)


def test_without_a_script_the_page_asks_again_by_itself(browser, tmp_path):
    with looking("classify", tmp_path) as (address, _), watched_page(browser, java_script_enabled=False) as window:
        window.goto(f"{address}/why?follow=1")
        window.wait_for_selector("#sum data")
        assert window.locator("#way tr").count() > 20
