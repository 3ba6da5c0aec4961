"""The page Cost: the counts are those of the pass, the times those of this machine."""

import pytest

from pellucid.inspection.costs import cost_of
from pellucid.studio.roofline_chart import roofline_points
from tests.browser import text_contrasts, too_wide, watched_page
from tests.studio.glass import exact, looking, show

pytestmark = pytest.mark.browser

FIGURES = ("macs", "params", "bytes", "intensity")


@pytest.fixture(scope="module")
def glass(tmp_path_factory):
    with looking("classify", tmp_path_factory.mktemp("glass")) as found:
        yield found


def table(window) -> dict[str, list[float | None]]:
    """The numbers of every operation."""
    found = {}
    for row in window.locator("table tbody tr:has(th[scope=row])").all():
        cells = row.locator("td.number")
        values = [cell.locator("data") for cell in cells.all()]
        found[row.locator("th").inner_text()] = [exact(one) if one.count() else None for one in values]
    return found


def test_every_operation_has_its_counts(glass, page):
    address, session = glass
    layers = cost_of(str(session.subject.model), "32x32").to_json()["layers"]
    show(page, f"{address}/cost")
    assert table(page) == {row["name"]: [row[key] for key in FIGURES] for row in layers}


def test_bars_follow_what_they_are_by(glass, page):
    address, session = glass
    layers = cost_of(str(session.subject.model), "32x32").to_json()["layers"]
    show(page, f"{address}/cost")
    page.locator("#by-params").click()
    page.wait_for_selector("#by-params[aria-current]")
    widths = [float(one.get_attribute("width")) for one in page.locator(".bar .share").all()]
    most = max(row["params"] for row in layers)
    assert widths == pytest.approx([100 * row["params"] / most for row in layers], abs=0.01)
    assert "by=params" in page.url


def test_a_measurement_comes_when_it_is_asked_for(glass, browser):
    address, session = glass
    with watched_page(browser) as window:
        window.set_default_timeout(60_000)
        show(window, f"{address}/cost")
        window.locator("a:text-is('Measure on this machine')").click()
        window.wait_for_selector(".chart .dot")
        names = window.locator(".chart a").evaluate_all("(all) => all.map((one) => one.ariaLabel.split(',')[0])")
        multiplying = [one.name for one in cost_of(str(session.subject.model), "32x32").trace if one.macs]
        assert names == multiplying
        assert window.locator(".badge").inner_text() == "MEASURED"
        assert all(values[3] >= 0 for values in table(window).values())


def test_nothing_is_drawn_of_what_was_not_measured(glass):
    _, session = glass
    assert roofline_points(cost_of(str(session.subject.model), "32x32")) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone(glass, browser, scheme):
    address, _ = glass
    with watched_page(browser, viewport={"width": 360, "height": 800}, color_scheme=scheme) as window:
        show(window, f"{address}/cost")
        assert too_wide(window) == []
        assert not [text for ratio, text in text_contrasts(window) if ratio < 4.5]
