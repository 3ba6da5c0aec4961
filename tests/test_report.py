"""The report of a run: what it says, that it says it safely, and how it behaves in a real browser."""

import html.parser
import itertools
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pellucid.data.ledger import Ledger, Refusal
from pellucid.panels import Curve, Matrix, Picture
from pellucid.report import write_report
from pellucid.report.charts import Axis, axis_over, draw_lines, tick_labels
from pellucid.report.history import history_charts
from pellucid.report.markup import Markup, tag, text
from pellucid.report.matrix import most_confused, shade
from pellucid.report.numerals import count, data, number, setting
from pellucid.report.page import page as draw_page
from pellucid.report.pictures import data_uri
from tests.browser import text_contrasts, too_wide, watched_page
from tests.sample_run import HOSTILE, sample_counts, sample_run, without_training

WINDOWS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"color_scheme": "light", "viewport": {"width": 360, "height": 740}},
}

CUT_TEXTS = """[...document.querySelectorAll(".chart text")].filter((text) => {
  const { x, y, width, height } = text.getBBox(), box = text.ownerSVGElement.viewBox.baseVal;
  return x < 0 || x + width > box.width || y < -2 || y + height > box.height + 2;
}).map((text) => text.textContent)"""


class Elements(html.parser.HTMLParser):
    """Start tags with their attributes, in order; knows which elements stay open."""

    VOID = frozenset({"meta", "img", "br", "hr", "col"})

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(source)

    def handle_starttag(self, name, attributes):
        self.found.append((name, dict(attributes)))
        if name not in self.VOID:
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.found if found == name]


@pytest.fixture(scope="module")
def source() -> str:
    return str(draw_page(sample_run()))


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, sample_run())
    return path


# What the file is


def test_every_element_is_closed_and_every_id_unique(source):
    elements = Elements(source)
    assert not elements.open
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    pointed = [a["aria-labelledby"].split() for _, a in elements.found if "aria-labelledby" in a]
    assert {name for names in pointed for name in names} <= set(ids)


def test_names_that_mean_harm_are_text(source):
    assert HOSTILE not in source
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;" in source
    assert len(Elements(source).named("script")) == 1


def test_hostile_text_never_leaves_its_attribute():
    assert tag("p", title='" onload="x') == '<p title="&quot; onload=&quot;x"></p>'
    assert text("a\x00b\u202ec\x1bd") == "a\ufffdb\ufffdc\ufffdd"
    assert text("na\udcffme") == "na\\udcffme"
    assert tag("p", Markup("<b>kept</b>")) == "<p><b>kept</b></p>"


def test_nothing_is_loaded_from_anywhere(source):
    for _, attributes in Elements(source).found:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/"))
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
    said = re.sub(r"data:image/[a-z]+;base64,[\w+/=]+", "", source)
    assert not re.search(r"@import|url\(|https?:|//[a-z]", said)


def test_the_policy_forbids_all_but_our_own_style_and_script(source):
    policies = [a["content"] for a in Elements(source).named("meta") if "http-equiv" in a]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policies[0]
    assert policies[0].count("'sha256-") == 2


def test_equal_runs_give_equal_bytes(tmp_path):
    first, second = tmp_path / "a.html", tmp_path / "b.html"
    write_report(first, sample_run())
    write_report(second, sample_run())
    assert first.read_bytes() == second.read_bytes()


def test_a_usual_report_is_small():
    names = tuple(f"class {i}" for i in range(10))
    run = sample_run(names, pictures=24)
    assert len(draw_page(run).encode()) < 1_000_000


def test_photos_are_reduced_and_small_pictures_exact():
    photo = np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8)
    assert data_uri(photo).startswith("data:image/jpeg;")
    assert len(data_uri(photo)) < 40_000
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    assert data_uri(grey).startswith("data:image/png;")


# What it says


def test_every_figure_of_the_run_is_said(source):
    for said in ("0.9722", "0.9528 to 0.9861", "1.250", "2.130 × 10⁻⁵", "−1\u202f234"):
        assert said in source
    assert f'value="{0.97222222!r}"' in source


def test_the_ledger_is_told_with_reasons_and_cures(source):
    assert "1\u202f502 files and labels were offered." in source
    assert "1\u202f200 are used and gave 1\u202f200 images or labels; 302 are refused." in source
    assert "no such class" in source
    assert "labels.csv:17" in source
    assert "Use one of the classes" in source
    assert "and 100 more, all of them in ledger.jsonl" in source


def test_a_run_with_nothing_in_it_still_makes_a_page():
    source = str(draw_page(without_training(sample_run())))
    assert not Elements(source).open
    assert "No step was recorded." in source
    assert "No image was held out." in source
    assert "No figure was measured." in source


def test_a_matrix_of_a_thousand_classes_shows_its_most_confused_part():
    names = tuple(f"kind {i}" for i in range(1000))
    run = replace(sample_run(names), panels=(Matrix("Confusion", names, sample_counts(1000)),))
    source = str(draw_page(run))
    assert "Of 1\u202f000 classes, the 20 that the largest confusions name" in source
    assert len(source) < 1_000_000


def test_most_confused_takes_the_largest_off_the_diagonal():
    part = most_confused(((9, 0, 2), (5, 9, 0), (0, 0, 9)))
    assert part.pairs == ((1, 0), (0, 2))
    assert part.shown == (0, 1, 2)
    assert most_confused(((9, 0), (0, 9))).pairs == ()


def test_shades_rise_with_the_share_and_leave_zero_blank():
    shades = [shade(value, 100) for value in range(101)]
    assert shades[0] == 0
    assert shades[1] == 1
    assert shades[100] == 9
    assert shades == sorted(shades)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.97222222, "0.9722"),
        (1.0, "1.0000"),
        (12.3456, "12.35"),
        (1234.5, "1\u202f234"),
        (1234567.0, "1\u202f234\u202f567"),
        (-0.25, "−0.2500"),
        (0.00012345, "1.234 × 10⁻⁴"),
        (0.0, "0.0000"),
        (math.nan, "–"),
        (-math.inf, "−∞"),
    ],
)
def test_numbers_have_four_digits_and_a_true_minus(value, said):
    assert number(value) == said


def test_counts_and_settings_lose_nothing():
    assert count(-1234567) == "−1\u202f234\u202f567"
    assert setting(5e-4) == "0.0005"
    assert setting(None) == "–"
    assert setting(("conv1", "layer1")) == "conv1, layer1"
    assert setting(False) == "no"
    assert 'aria-label="no value"' in data(math.nan)


# Charts


def test_ticks_are_round_and_inside_the_axis():
    axis = axis_over([0.013, 0.97], 0, 100)
    assert axis.ticks() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert [axis.at(tick) for tick in (0, 1)] == pytest.approx([0, 100])
    assert axis_over([1, 2, 3], 0, 100, fit=False).ticks() == [1, 2, 3]
    assert Axis(0.03, 3, 0, 100, log=True).ticks() == pytest.approx([0.05, 0.1, 0.2, 0.5, 1, 2])
    assert tick_labels([0.5, 1.0]) == ["0.5", "1.0"]
    assert tick_labels([0.0, 2000.0]) == ["0", "2\u202f000"]


@pytest.mark.parametrize("ys", [(), (0.5,), (0.3, 0.3), (math.nan, 1.0), (math.inf, 1.0), (0.0, -5.0), (1e-9, 1e9)])
@pytest.mark.parametrize("log", [False, True])
def test_any_values_can_be_drawn(ys, log):
    curve = Curve("t", "x", "y", (("line", tuple(map(float, range(len(ys)))), ys),))
    drawn = draw_lines(curve, log=log, name="c")
    assert "nan" not in drawn.lower()
    assert "inf" not in drawn


def test_history_is_grouped_and_thinned():
    rows = [{"step": s, "lr": 0.1, "ce": 10.0 / s, "val_top1": 0.5} for s in range(1, 1001)]
    charts = history_charts(rows)
    assert [chart.curve.title for chart in charts] == ["Loss", "Validation", "Learning rate"]
    loss = charts[0]
    assert loss.log
    _, xs, ys = loss.curve.series[0]
    assert len(xs) == 200
    assert xs[-1] == 1000
    assert ys[0] == pytest.approx(sum(10 / s for s in range(1, 6)) / 5)
    assert history_charts([]) == []


def test_a_diverged_history_is_still_drawn():
    rows = [{"step": 1, "ce": 2.0}, {"step": 2, "ce": math.nan}, {"step": 3, "ce": math.inf}]
    source = str(draw_page(replace(sample_run(), history=rows)))
    assert not Elements(source).open


def test_odd_pictures_and_names_fit():
    dot = Picture((("photo", np.zeros((1, 1, 3), np.uint8)),), "", "caf\udce9\n.png")
    long = Picture((("photo", np.zeros((3, 900, 1), np.uint8)),), "x" * 5000, "y" * 300)
    ledger = Ledger({}, (Refusal("a\udcff.png", "r", "c"),))
    run = sample_run()
    gallery = replace(run.panels[-1], pictures=(dot, long))
    source = draw_page(replace(run, panels=(gallery,), ledger=ledger))
    assert not Elements(source).open
    source.encode("utf-8")


# In the browser


@pytest.mark.browser
@pytest.mark.parametrize("window", WINDOWS)
def test_the_page_is_clean_and_fits(browser, report, window):
    with watched_page(browser, **WINDOWS[window]) as opened:
        opened.goto(report.as_uri())
        assert too_wide(opened) == []
        assert opened.evaluate(CUT_TEXTS) == []
        faint = [(round(ratio, 2), text) for ratio, text in text_contrasts(opened) if ratio < 4.5]
        assert not faint


@pytest.mark.browser
def test_headings_are_in_order_and_pictures_are_described(page, report):
    page.goto(report.as_uri())
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((h) => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    alts = page.evaluate("[...document.images].map((image) => [image.alt, image.naturalWidth])")
    assert alts
    assert all(alt and width for alt, width in alts)
    names = page.evaluate("[...document.querySelectorAll('main, nav, header, footer')].length")
    assert names == 4
    tables = page.evaluate("[...document.querySelectorAll('table')].every((t) => t.caption?.textContent)")
    assert tables


@pytest.mark.browser
def test_cells_hold_the_values_of_the_run(page, report):
    page.goto(report.as_uri())
    run = sample_run()
    cells = page.evaluate(
        "[...document.querySelector('.matrix').tBodies[0].rows].map((row) => [...row.cells].map((c) => c.textContent))"
    )
    for row, name, counts in zip(cells, run.data.classes, run.panels[0].counts, strict=True):
        assert row == [name, *(count(value) for value in counts), count(sum(counts))]
    bars = page.evaluate("[...document.querySelectorAll('.bars data')].map((d) => Number(d.value))")
    assert tuple(bars) == run.panels[1].values
    headline = page.evaluate("[...document.querySelectorAll('.figures .value data')].map((d) => Number(d.value))")
    assert headline == [value for _, value, _ in run.figures]


@pytest.mark.browser
def test_folds_open_by_keyboard_and_the_skip_link_leads_to_the_result(page, report):
    page.goto(report.as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    fold = page.locator("figure details").first
    assert not fold.evaluate("(element) => element.open")
    fold.locator("summary").focus()
    page.keyboard.press("Enter")
    assert fold.evaluate("(element) => element.open")


@pytest.mark.browser
def test_the_readout_says_the_nearest_row(page, report):
    page.goto(report.as_uri())
    chart = page.locator("#h1").locator("xpath=ancestor::figure").locator(".chart")
    chart.scroll_into_view_if_needed()
    box = chart.locator("svg").bounding_box()
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + 40)
    last = sample_run().history[-1]
    said = chart.locator(".readout").text_content()
    assert said == f"step {last['step']} · cross_entropy {number(last['cross_entropy'])}"


@pytest.mark.browser
def test_the_page_reads_without_scripts(browser, report):
    with watched_page(browser, java_script_enabled=False) as window:
        window.goto(report.as_uri())
        assert window.locator("h2").all_text_contents()[:2] == ["Result", "A closer look"]
        assert window.locator(".chart svg").first.is_visible()


@pytest.mark.browser
def test_a_fault_on_a_page_fails_its_test(browser, tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text("<script>console.error('broken')</script><img src='missing.png' alt=''>")
    with pytest.raises(AssertionError, match="broken"), watched_page(browser) as window:  # noqa: PT012
        window.goto(bad.as_uri())
        window.wait_for_load_state("networkidle")
