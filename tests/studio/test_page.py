"""The page Arithmetic in a real browser: what it shows, lights, speaks and remembers."""

import itertools
import re

import numpy as np
import pytest

from pellucid.ops.kernels import KERNELS
from tests.browser import text_contrasts, too_wide, watched_page

pytestmark = pytest.mark.browser

PRESETS = [
    "conv-3x3",
    "stride-2",
    "dilation-1",
    "dilation-2",
    "pooling-4x4",
    "relu",
    "photo-edge",
    "photo-box",
    "photo-sharpen",
    "photo-gaussian",
    "backward-2x2",
    "same-even",
    "grouped",
    "depthwise",
    "transposed",
    "cs231n",
    "d2l",
    "dumoulin-strided",
    "resnet-conv1",
]
TERMS = ("6·3", "1·2", "8·1", "7·0", "9·3", "2·3", "5·0", "9·1", "3·4")
READY = "html[data-ready]"

STAGE = """() => {
  const plain = document.querySelector('#main').cloneNode(true);
  for (const element of plain.querySelectorAll('*')) {
    for (const name of ['style', 'tabindex', 'data-size', 'disabled', 'aria-invalid', 'aria-valuetext', 'title']) {
      element.removeAttribute(name);
    }
    if (element.getAttribute('class') === '') element.removeAttribute('class');
  }
  plain.querySelectorAll('#preset, #controls, #full, #photo, [hidden]').forEach((element) => element.remove());
  return plain.innerHTML.replace(/\\s+/g, ' ').replaceAll('> <', '><');
}"""


def show(window, studio: str, fragment: str = "") -> None:
    window.goto("about:blank")
    window.goto(f"{studio}/arithmetic{fragment}")
    window.wait_for_selector(READY)


def numbers(window, place: str) -> list[str]:
    return window.locator(f"#{place} td").all_inner_texts()


def lit(window, place: str, kind: str = "tap") -> list[str]:
    return window.locator(f'#{place} td[data-lit="{kind}"]').all_inner_texts()


def cell(window, place: str, row: int, col: int):
    return window.locator(f"#{place} tr").nth(row).locator("td").nth(col)


def frame(window, place: str) -> tuple[str, ...]:
    rect = window.locator(f"#{place} .frame rect").first
    return tuple(rect.get_attribute(name) for name in ("y", "x", "height", "width"))


def address(window, pattern: str) -> str:
    """The fragment, once it has come to match."""
    window.wait_for_function("(pattern) => new RegExp(pattern).test(location.hash)", arg=pattern)
    return window.evaluate("location.hash")


# Without a script


def test_the_page_is_readable_without_a_script(browser, studio):
    with watched_page(browser, java_script_enabled=False) as window:
        window.goto(f"{studio}/arithmetic")
        assert window.locator("h1").inner_text() == "A 3 × 3 convolution"
        assert len(numbers(window, "left")) == 49
        assert numbers(window, "middle-cards") == ["6", "1", "8", "−7", "9", "2", "−5", "−9", "3"]
        assert numbers(window, "right")[10:15] == ["55", "55", "64", "−24", "−29"]
        assert lit(window, "right", "now") == ["64"]
        assert lit(window, "left") == ["3", "2", "1", "0", "3", "3", "0", "1", "4"]
        terms = window.locator("#terms").inner_text().replace("\n", " ")
        assert all(term in terms for term in TERMS)
        assert window.locator("#total").inner_text() == "64"
        assert "whole tensor at once 64" in window.locator("#check").inner_text()
        assert "⌊(5 + 2·1 − 1·(3 − 1) − 1) / 1⌋ + 1 = 5" in window.locator("#facts").inner_text()
        assert "10; a dense layer would need 650" in window.locator("#facts").inner_text()


def test_the_script_takes_over_what_the_server_drew(browser, studio):
    with watched_page(browser, java_script_enabled=False) as window:
        window.goto(f"{studio}/arithmetic")
        boxes = window.locator("#left td").first.bounding_box(), window.locator("#total").bounding_box()
    with watched_page(browser) as window:
        window.route("**/arithmetic.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
        window.goto(f"{studio}/arithmetic")
        before = window.evaluate(STAGE)
    with watched_page(browser) as window:
        show(window, studio)
        assert window.evaluate(STAGE) == before
        taken = window.locator("#left td").first.bounding_box(), window.locator("#total").bounding_box()
        assert taken == boxes


# Presets


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_loads_and_checks_itself(page, studio, name):
    show(page, studio, f"#preset={name}")
    assert page.locator("#preset").input_value() == name
    assert page.locator("#problem").is_hidden()
    assert page.locator("#check").inner_text().startswith("Σ ✓")
    assert page.locator("#total").inner_text() == page.locator('.result td[data-lit="now"]').inner_text()
    assert too_wide(page) == []
    page.keyboard.press("ArrowRight")
    assert page.locator("#check").inner_text().startswith("Σ ✓")


def test_presets_stand_in_order_in_the_menu(page, studio):
    show(page, studio)
    options = page.locator("#preset option").evaluate_all("(all) => all.map((option) => option.value)")
    assert options == PRESETS
    page.locator("#preset").select_option("relu")
    assert page.locator("#terms").inner_text() == "max(0, −66)"
    assert address(page, "relu") == "#preset=relu"


def test_resnet_leaves_a_row_and_a_column_unread(page, studio):
    show(page, studio, "#preset=resnet-conv1")
    assert page.locator("#facts dd.unread").inner_text() == "1 row and 1 column are never read. All of it is padding."
    assert page.locator("#left td.unread").count() == 22 + 22 - 1
    assert page.locator(".term").count() == 49


def test_dilation_shows_its_holes(page, studio):
    show(page, studio, "#preset=dilation-2")
    assert len(lit(page, "left")) == 9
    assert frame(page, "left") == ("2", "2", "5", "5")
    assert page.locator("#left number-grid[data-solid]").count() == 0


def test_average_pooling_is_a_control_away(page, studio):
    show(page, studio, "#preset=pooling-4x4")
    assert page.locator("#terms").inner_text() == "max(1, 9, 5, 6)"
    page.locator('[name="operation"]').select_option("avg_pool2d")
    assert numbers(page, "right") == ["3.50", "5.25", "4.75", "5.00"]
    assert page.locator("#terms").inner_text() == "(1 + 9 + 5 + 6) / 4"


def test_groups_are_fenced(page, studio):
    show(page, studio, "#preset=grouped")
    assert page.locator("#left .group").evaluate_all("(all) => all.map((one) => one.dataset.group)") == [
        "group 0",
        "group 1",
    ]
    assert page.locator("#left figure").count() == 4
    assert page.locator("#middle-cards figcaption").all_inner_texts() == ["2, 0", "2, 1"]
    assert page.locator('#left td[data-lit="tap"]').count() == 8


# Pointer and keyboard


def test_hovering_an_output_lights_its_window(page, studio):
    show(page, studio)
    cell(page, "right", 0, 0).hover()
    assert lit(page, "left") == ["0", "0", "0", "0", "−5", "3", "0", "4", "3"]
    assert frame(page, "left") == ("0", "0", "3", "3")
    assert page.locator("#total").inner_text() == "−66"
    page.locator("h1").hover()
    assert page.locator("#total").inner_text() == "64"


def test_hovering_an_input_lights_its_outputs(page, studio):
    show(page, studio)
    cell(page, "left", 1, 1).hover()
    assert lit(page, "right", "fan") == ["−66", "25", "52", "−4"]
    assert page.locator("#readout").inner_text() == "X[0, 0, 0] = −5 is used by 4 outputs"
    assert page.locator("#total").inner_text() == "64"
    cell(page, "left", 0, 0).hover()
    assert lit(page, "right", "fan") == ["−66"]


def test_hovering_a_weight_lights_its_sub_image(page, studio):
    show(page, studio)
    cell(page, "middle", 0, 0).hover()
    assert frame(page, "left") == ("0", "0", "5", "5")
    assert len(lit(page, "left")) == 25
    assert page.locator("#readout").inner_text() == "W[0, 0, 0, 0] = 6 multiplies 25 numbers of the input"


def test_a_click_pins(page, studio):
    show(page, studio)
    cell(page, "right", 1, 4).click()
    page.locator("h1").hover()
    assert page.locator("#total").inner_text() == "−121"
    assert address(page, "at") == "#preset=conv-3x3&at=0,1,4"
    cell(page, "left", 3, 3).click()
    page.locator("h1").hover()
    assert len(lit(page, "right", "fan")) == 9
    page.keyboard.press("Escape")
    assert lit(page, "right", "now") == ["−121"]


def test_the_window_can_be_dragged(page, studio):
    show(page, studio)
    cell(page, "left", 3, 3).hover()
    page.locator("h1").hover()
    start, end = cell(page, "left", 3, 3).bounding_box(), cell(page, "left", 1, 4).bounding_box()
    page.mouse.move(start["x"] + 9, start["y"] + 9)
    page.evaluate("document.querySelector('#stage').dispatchEvent(new PointerEvent('pointerleave'))")
    page.mouse.down()
    page.mouse.move(end["x"] + 9, end["y"] + 9, steps=4)
    page.mouse.up()
    page.locator("h1").hover()
    assert page.locator("#name").inner_text() == "Y[0, 0, 3]"


def test_arrows_step_and_the_sum_is_spoken(page, studio):
    show(page, studio)
    page.keyboard.press("ArrowRight")
    assert page.locator("#total").inner_text() == "−24"
    assert page.locator("#spoken").inner_text() == "output row 3 column 4, −24, sum of nine products"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#name").inner_text() == "Y[0, 3, 2]"
    page.keyboard.press("ArrowUp")
    assert page.locator("#total").inner_text() == "64"
    page.locator("#next").click()
    page.locator("#previous").click()
    assert page.locator("#total").inner_text() == "64"


def test_cells_speak_and_take_arrow_keys(page, studio):
    show(page, studio)
    assert page.locator('table[role="grid"]:visible').count() == 4
    assert cell(page, "right", 2, 2).get_attribute("aria-label") == "output 0 row 3 column 3, 64, sum of nine products"
    assert cell(page, "left", 0, 0).get_attribute("aria-label") == "input 0 row 0 column 0, 0, padding"
    page.locator('#left td[tabindex="0"]').focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    focused = "document.activeElement.parentElement.rowIndex + ',' + document.activeElement.cellIndex"
    assert page.evaluate(focused) == "1,1"
    assert page.locator("#total").inner_text() == "64"
    page.locator('#right td[tabindex="0"]').focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == "2,3"
    assert page.locator("#total").inner_text() == "−24"


def test_keys_for_pass_flip_play_and_presenting(page, studio):
    show(page, studio)
    page.keyboard.press("f")
    assert numbers(page, "right")[:5] == ["−44", "50", "91", "−63", "22"]
    page.keyboard.press("f")
    page.keyboard.press("b")
    assert page.locator("#right-name").inner_text() == "∂L/∂Y"
    assert numbers(page, "left")[:5] == ["9", "19", "19", "19", "20"]
    assert "full convolution 8" in page.locator("#check").inner_text()
    assert page.locator("#full").is_visible()
    page.keyboard.press("b")
    assert numbers(page, "middle-cards") == ["15", "24", "26", "42", "50", "47", "47", "52", "44"]
    page.keyboard.press("b")
    assert numbers(page, "middle-cards") == ["25"]
    page.keyboard.press("b")
    page.keyboard.press("Shift+F")
    assert cell(page, "right", 0, 0).evaluate("(td) => getComputedStyle(td).fontSize") == "32px"
    assert too_wide(page) == []
    page.keyboard.press("Shift+F")
    page.keyboard.press(" ")
    page.wait_for_function("() => document.querySelector('#name').textContent !== 'Y[0, 2, 2]'")
    page.keyboard.press(" ")
    assert page.locator("#play").inner_text() == "Play"


# Editing


def test_a_number_is_edited_in_place(page, studio):
    show(page, studio)
    cell(page, "left", 3, 3).dblclick()
    page.keyboard.type("-10.5")
    page.keyboard.press("Enter")
    page.locator("h1").hover()
    page.keyboard.press("Escape")
    assert page.locator("#total").inner_text() == "−57.5"
    assert cell(page, "left", 3, 3).inner_text() == "−10.5"
    found = address(page, "x=")
    assert "x=-5,3,2,-5,3/4,3,2,1,-3/1,0,-10.5,3,5/" in found
    show(page, studio, found)
    assert page.locator("#total").inner_text() == "−57.5"
    page.locator("#reset").click()
    assert page.locator("#total").inner_text() == "64"


def test_typing_over_a_weight_and_the_bias(page, studio):
    show(page, studio)
    cell(page, "middle", 1, 1).click()
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    assert numbers(page, "right")[12] == "40"
    page.locator("#bias td").click()
    page.keyboard.type("0.5")
    page.keyboard.press("Enter")
    assert numbers(page, "right")[12] == "40.5"
    page.locator("#bias td").click()
    page.keyboard.type("x")
    page.locator("#bias td").dblclick()
    page.keyboard.type("seven")
    page.keyboard.press("Enter")
    assert page.locator("#verdict").inner_text() == "“seven” is not a number. The old one stays."
    assert numbers(page, "right")[12] == "40.5"


def test_the_arriving_gradient_is_edited(page, studio):
    show(page, studio, "#preset=backward-2x2")
    assert numbers(page, "middle-cards") == ["9.5", "12.0", "17.0", "19.5"]
    cell(page, "right", 0, 0).dblclick()
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    assert numbers(page, "middle-cards")[0] == "11.5"
    assert "grad_output=3,-1/2,0.5" in address(page, "grad_output")


def test_predict_then_reveal(page, studio):
    show(page, studio)
    page.keyboard.press("p")
    assert page.locator("#total").inner_text() == "?"
    assert "64" not in numbers(page, "right")
    assert page.locator(".term small").count() == 0
    assert "ask=0,2,2" in address(page, "ask")
    page.keyboard.type("63")
    page.keyboard.press("Enter")
    assert page.locator("#verdict").inner_text() == "63 is not right. Try again."
    page.keyboard.type("64")
    page.keyboard.press("Enter")
    assert page.locator("#verdict").inner_text() == "64 is right."
    assert page.locator("#total").inner_text() == "64"


# Arguments


def test_every_argument_is_a_control(page, studio):
    show(page, studio)
    names = set(page.locator("#controls :is(input, select)").evaluate_all("(all) => all.map((one) => one.name)"))
    pairs = ("size", "kernel_size", "stride", "padding", "dilation", "output_padding")
    assert names >= {f"{name}.{side}" for name in pairs for side in (0, 1)}
    flags = {"bias", "flip", "ceil_mode", "count_include_pad"}
    words = {"operation", "padding_mode", "padding.word", "in_channels", "out_channels", "groups"}
    assert names >= flags | words
    page.locator('[name="stride.0"]').fill("2")
    assert page.locator("#right-shape").inner_text() == "1 × 3 × 5"
    page.locator('[name="padding_mode"]').select_option("reflect")
    assert numbers(page, "left")[:7] == ["3", "4", "3", "2", "1", "−3", "1"]
    page.locator('[name="padding.word"]').select_option("valid")
    assert page.locator("#right-shape").inner_text() == "1 × 2 × 3"
    page.locator('[name="in_channels"]').fill("4")
    page.locator('[name="out_channels"]').fill("8")
    page.locator('[name="groups"]').fill("2")
    assert page.locator('output[name="groups.shown"]').inner_text() == "4 · depthwise"
    assert page.locator("#middle-shape").inner_text() == "8 × 1 × 3 × 3"


def test_a_wrong_argument_is_told_and_the_last_state_stays(page, studio):
    show(page, studio)
    page.locator('[name="padding_mode"]').select_option("reflect")
    page.locator('[name="padding.0"]').fill("5")
    problem = page.locator("#problem").inner_text()
    assert "padding=5" in problem
    assert "Give at most 4" in problem
    assert page.locator("#main").evaluate("(main) => main.classList.contains('stale')")
    assert page.locator('[name="padding.0"]').get_attribute("aria-invalid") == "true"
    assert numbers(page, "right")[12] == "64"
    page.locator('[name="padding.0"]').fill("4")
    assert page.locator("#problem").is_hidden()
    assert page.locator("#right-shape").inner_text() == "1 × 11 × 5"


@pytest.mark.parametrize(
    ("fragment", "said"),
    [
        ("#preset=nothing", "preset=nothing is unknown. Choose one of: conv-3x3"),
        ("#strid=2", "unknown key “strid”"),
        ("#stride=two", "stride=two cannot be read"),
        ("#stride=0", "stride=0 is not possible here. Give a whole number from 1 to 8."),
        ("#kernel_size=7&padding=0", "kernel_size=7 spans 7 cells, but the padded input has 5"),
        ("#padding=same&stride=2", "padding=same needs stride 1, not 2 × 2"),
        ("#groups=2", "groups=2 does not divide in_channels=1"),
        ("#x=1,2,3", "x has 3 numbers, but its shape 1 × 5 × 5 needs 25"),
        ("#at=0,9,9", "at=0,9,9 lies outside the shape 1 × 5 × 5"),
        ("#operation=max_pool2d&padding=2", "padding=2 is more than half of kernel_size=3"),
        ("#operation=conv_transpose2d&output_padding=1", "output_padding=1 must be smaller"),
        ("#operation=conv_transpose2d&size=1&padding=3", "padding=3 crops the whole output away"),
        ("#operation=relu&pass=weight", "pass=weight does not exist for relu"),
        ("#size=16&padding=8&kernel_size=1", "The output would be 32 cells wide"),
        ("#%zz=<img src=x>", "unknown key “%zz”"),
    ],
)
def test_a_wrong_address_is_a_sentence_not_a_blank_page(page, studio, fragment, said):
    show(page, studio, fragment)
    assert said in page.locator("#problem").inner_text()
    assert page.locator("#check").inner_text().startswith("Σ ✓")
    assert page.locator("#problem *").count() == 0


def test_going_on_forgives_a_wrong_address(page, studio):
    show(page, studio, "#strid=2")
    assert page.locator("#problem").is_visible()
    page.keyboard.press("ArrowRight")
    assert page.locator("#problem").is_hidden()
    assert address(page, "at") == "#preset=conv-3x3&at=0,2,3"


def test_the_address_is_the_state(page, studio):
    fragment = "#preset=conv-3x3&pass=x&stride=2&padding=1,2&padding_mode=reflect&ask=0,2,1"
    show(page, studio, fragment)
    assert page.locator("#name").inner_text() == "∂L/∂X[0, 2, 2]"
    assert page.locator("#question").inner_text() == "What is ∂L/∂X[0, 2, 1]?"
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    found = address(page, "at=")
    assert found == fragment.replace("&ask", "&at=0,2,3&ask")
    window_state = numbers(page, "left")
    show(page, studio, found)
    assert numbers(page, "left") == window_state
    page.evaluate("location.hash = '#preset=d2l'")
    page.wait_for_function("() => document.querySelector('#total').textContent === '19'")


@pytest.mark.parametrize("name", PRESETS)
def test_passes_and_flips_of_every_preset_survive_the_address(page, studio, name):
    script = """async (name) => {
      const { parse, format } = await import('/static/state/fragment.js');
      return ['forward', 'x', 'weight', 'bias'].flatMap((pass) => ['true', 'false'].map((flip) => {
        const { state, problems } = parse(`#preset=${name}&pass=${pass}&flip=${flip}&x=`.replace('&x=', ''));
        const again = parse(format(state, 'fr'));
        return [JSON.stringify(state), JSON.stringify(again.state), again.problems.length, again.lang];
      }));
    }"""
    show(page, studio)
    for first, second, problems, lang in page.evaluate(script, name):
        assert first == second
        assert problems == 0
        assert lang == "fr"


# Language, theme, sight


def test_french(page, studio):
    show(page, studio, "#lang=fr")
    assert page.locator("html").get_attribute("lang") == "fr"
    assert page.locator("h1").inner_text() == "Une convolution 3 × 3"
    assert page.locator("#left-name").inner_text() == "entrée X"
    page.keyboard.press("ArrowRight")
    assert page.locator("#spoken").inner_text() == "sortie ligne 3 colonne 4, −24, somme de neuf produits"
    assert address(page, "at").endswith("&lang=fr")
    page.locator("#language").click()
    assert page.locator("h1").inner_text() == "A 3 × 3 convolution"
    assert "lang" not in address(page, "^((?!lang).)*$")


def test_every_word_is_there_in_both_languages(page, studio):
    show(page, studio)
    script = """async () => {
      const source = await (await fetch('/static/show/words.js')).text();
      const { say, speak } = await import('/static/show/words.js');
      const keys = [...source.matchAll(/"([^"]+)": \\["/g)].map((found) => found[1]);
      const shown = [...document.querySelectorAll('[data-say]')].map((element) => element.dataset.say);
      const said = (lang) => { speak(lang); return [...keys, ...shown].map((key) => say(key)); };
      return [said('en'), said('fr'), shown.filter((key) => !keys.includes(key))];
    }"""
    english, french, unknown = page.evaluate(script)
    assert not unknown
    assert all(english)
    assert all(french)
    holes = re.compile(r"\{\w+\}")
    for one, other in zip(english, french, strict=True):
        assert set(holes.findall(one)) == set(holes.findall(other)), one


def test_the_theme_is_remembered(page, studio):
    show(page, studio)
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(250, 250, 248)"
    page.locator("#theme").click()
    assert page.evaluate(ground) == "rgb(16, 19, 23)"
    show(page, studio)
    assert page.evaluate(ground) == "rgb(16, 19, 23)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("fragment", ["#preset=conv-3x3", "#preset=resnet-conv1", "#pass=x&stride=2", "#stride=0"])
def test_every_text_can_be_read(browser, studio, scheme, fragment):
    with watched_page(browser, color_scheme=scheme) as window:
        show(window, studio, fragment)
        weak = [(ratio, text) for ratio, text in text_contrasts(window) if ratio < 4.5]
    assert not weak


@pytest.mark.parametrize("name", PRESETS)
def test_a_phone_needs_no_sideways_scroll(browser, studio, name):
    with watched_page(browser, viewport={"width": 360, "height": 740}) as window:
        show(window, studio, f"#preset={name}")
        assert too_wide(window) == []


def test_reduced_motion_is_honoured(browser, studio):
    with watched_page(browser, reduced_motion="reduce") as window:
        show(window, studio)
        style = "getComputedStyle(document.querySelector('{}')).{}"
        assert window.evaluate(style.format(".frame rect", "transitionDuration")) == "0s"
        assert window.evaluate(style.format("#next i", "animationName")) == "none"


def test_headings_and_names(page, studio):
    show(page, studio)
    levels = page.evaluate(
        "[...document.querySelectorAll('h1,h2,h3')].filter((h) => h.offsetParent).map((h) => +h.tagName[1])"
    )
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    nameless = page.locator(":is(button, input, select):visible").evaluate_all(
        "(all) => all.filter((one) => !one.ariaLabel && !one.labels?.length && !one.textContent.trim())"
        ".map((one) => one.outerHTML)"
    )
    assert not nameless


def test_the_skip_link_keeps_the_address(page, studio):
    show(page, studio, "#preset=d2l")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "stage"
    assert page.evaluate("location.hash") == "#preset=d2l"


# Taking it away


@pytest.mark.parametrize("name", ["conv-3x3", "pooling-4x4", "backward-2x2", "grouped", "transposed"])
def test_every_export_is_made(browser, studio, name):
    with watched_page(browser, permissions=["clipboard-read", "clipboard-write"]) as window:
        show(window, studio, f"#preset={name}")
        text = window.locator("#export-text")
        for export, sign in (("code", "import torch"), ("latex", "\\"), ("link", f"{studio}/arithmetic#preset={name}")):
            window.locator(f'[data-export="{export}"]').click()
            window.wait_for_function("(sign) => document.querySelector('#export-text').value.includes(sign)", arg=sign)
            window.wait_for_function("() => document.querySelector('#export-told').textContent === 'Copied.'")
            assert window.evaluate("navigator.clipboard.readText()") == text.input_value()
        for export, suffix, sign in (("svg", "svg", "<svg"), ("worksheet", "html", "<!doctype html>")):
            with window.expect_download() as saved:
                window.locator(f'[data-export="{export}"]').click()
            assert saved.value.suggested_filename == f"{name}.{suffix}"
            assert saved.value.path().read_text().lower().startswith(sign)


def test_where_copying_is_refused_the_text_stands_there(page, studio):
    show(page, studio)
    page.evaluate(
        "void (navigator.clipboard.writeText = () => Promise.reject(new DOMException('', 'NotAllowedError')))"
    )
    page.locator('[data-export="code"]').click()
    page.wait_for_function("() => document.querySelector('#export-told').textContent.startsWith('The browser refused')")
    assert "nn.Conv2d" in page.locator("#export-text").input_value()


# The photograph


def test_the_photograph_follows_the_kernel(page, studio):
    show(page, studio, "#preset=photo-edge")
    page.wait_for_selector("photo-filter canvas")
    assert page.locator("photo-filter").evaluate("(one) => one.kernel.values[4]") == -4
    cell(page, "middle-cards", 1, 1).dblclick()
    page.keyboard.type("9")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('photo-filter').kernel.values[4] === 9")
    kernel = page.locator("photo-filter").evaluate("(one) => one.kernel")
    assert kernel == {"shape": [3, 3], "values": [0, 1, 0, 1, 9, 1, 0, 1, 0]}
    page.locator("#preset").select_option("photo-gaussian")
    page.wait_for_function("() => document.querySelector('photo-filter').kernel.values.length === 25")
    page.locator("#preset").select_option("d2l")
    assert page.locator("#photo").is_hidden()


def test_the_title_says_when_the_example_was_changed(page, studio):
    show(page, studio, "#preset=conv-3x3&pass=x&at=0,0,0")
    assert page.locator("h1").inner_text() == "A 3 × 3 convolution"
    show(page, studio, "#preset=conv-3x3&kernel_size=1")
    assert page.locator("h1").inner_text() == "A 3 × 3 convolution, changed"
    assert "Each output" not in page.locator("#lead").inner_text()
    show(page, studio)
    cell(page, "middle", 1, 1).click()
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('h1').textContent.endsWith(', changed')")
    page.locator("#reset").click()
    page.wait_for_function("() => document.querySelector('h1').textContent === 'A 3 × 3 convolution'")


def test_the_photographs_kernels_are_those_of_the_command_line(page, studio):
    for name in ("edge", "sharpen", "box"):
        show(page, studio, f"#preset=photo-{name}")
        page.wait_for_selector("photo-filter canvas")
        kernel = page.locator("photo-filter").evaluate("(one) => one.kernel")
        assert np.allclose(np.reshape(kernel["values"], kernel["shape"]), KERNELS[name].values)
