"""What a reader takes away from the page: code that runs, whole LaTeX, a figure, a worksheet that torch agrees with."""

import random
import re
import subprocess
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from tests.browser import watched_page
from tests.studio.test_numerics import OPERATIONS, drawn_state, reference, reference_layer, tensor

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel lengths"),
]

DRAWN = 12  # of each operation
EXPORT = """async ([states, name]) => {
  const { evaluate } = await import('/static/numerics.js');
  const ways = {
    code: (await import('/static/exports/torch_code.js')).torchCode,
    latex: (await import('/static/exports/latex.js')).latex,
    svg: (await import('/static/exports/svg.js')).svg,
    worksheet: (await import('/static/exports/worksheet.js')).worksheet,
    questions: (await import('/static/exports/questions.js')).questions,
  };
  return states.map((state, seed) =>
    name === 'questions' ? ways.questions(state, seed) : ways[name](state, evaluate(state), seed, state.lang));
}"""


@pytest.fixture(scope="module")
def states() -> list[dict]:
    """Drawn arguments of every operation, each in every pass that it has, at a place in the result."""
    rng = random.Random("exports")
    found = []
    drawn = [drawn_state(operation, rng) for operation in OPERATIONS for _ in range(DRAWN)]
    same = [state for state in (drawn_state("conv2d", rng) for _ in range(60)) if state["padding"] == "same"]
    for state in drawn + same:
        state["grad_output"] = rng.choice((None, state["grad_output"]))
        found += [state | {"pass": each, "at": somewhere(state, each, rng)} for each in passes(state)]
    return found


def passes(state: dict) -> list[str]:
    if not state["operation"].startswith("conv"):
        return ["forward", "x"]
    return ["forward", "x", "weight", *(["bias"] if state["bias"] else [])]


def given(state: dict) -> dict:
    """The state with its gradient at the output written out."""
    output = reference_layer(state)(tensor(state["x"])[None])[0]
    ones = {"shape": list(output.shape), "values": [1.0] * output.numel()}
    return state | {"grad_output": state["grad_output"] or ones}


def somewhere(state: dict, each: str, rng: random.Random) -> list[int]:
    return [rng.randrange(size) for size in reference(given(state))[each].shape]


@pytest.fixture(scope="module")
def export(browser, studio):
    """`export(states, "code")`: what the page makes of states."""
    with watched_page(browser) as window:
        window.goto(f"{studio}/arithmetic")
        yield lambda states, name: window.evaluate(EXPORT, [states, name])


# PyTorch code

RUN = """
import contextlib, io, json, sys, warnings
warnings.simplefilter("ignore")
for code in json.load(sys.stdin):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    assert "tensor(" in printed.getvalue(), code
"""


def run_all(codes: list[str]) -> subprocess.CompletedProcess:
    import json

    return subprocess.run([sys.executable, "-c", RUN], input=json.dumps(codes), capture_output=True, text=True)


def test_the_code_runs_and_its_numbers_are_torchs(states, export):
    done = run_all(export(states, "code"))
    assert done.returncode == 0, done.stderr


def test_the_code_would_notice_a_wrong_number(states, export):
    code = export(states[:1], "code")[0]
    start = code.index("expected = ")
    number = re.search(r"\d+\.\d+", code[start:])
    wrong = code[:start] + code[start:].replace(number[0], "123.5", 1)
    done = run_all([wrong])
    assert done.returncode == 1
    assert "not close" in done.stderr


def test_the_code_reads_as_one_would_write_it(export, states):
    plain = {
        "preset": "conv-3x3", "operation": "conv2d", "pass": "weight", "x": {"shape": [1, 3, 3], "values": [*range(9)]},
        "weight": {"shape": [1, 1, 2, 2], "values": [1, 2, 3, 4]}, "bias": None, "grad_output": None,
        "kernel_size": [2, 2], "stride": [1, 1], "padding": [1, 0], "dilation": [1, 1], "groups": 1,
        "output_padding": [0, 0], "padding_mode": "reflect", "ceil_mode": False, "count_include_pad": True,
        "flip": True, "at": [0, 0, 0, 0], "ask": None,
    }  # fmt: skip
    code = export([plain], "code")[0]
    arguments = 'kernel_size=2, padding=(1, 0), padding_mode="reflect", bias=False, dtype=torch.float64'
    assert f"layer = nn.Conv2d(1, 1, {arguments})" in code.splitlines()
    assert "layer.weight.copy_(torch.tensor([[[[1, 2], [3, 4]]]], dtype=torch.float64).flip(-2, -1))" in code
    assert "print(layer.weight.grad.flip(-2, -1))" in code
    assert max(map(len, code.splitlines())) <= 120


# LaTeX


def test_the_latex_is_whole(states, export):
    for state, text in zip(states, export(states, "latex"), strict=True):
        assert text.count("{") == text.count("}"), text
        opened = re.findall(r"\\(begin|end)\{([\w*]+)\}", text)
        stack: list[str] = []
        for kind, name in opened:
            assert kind == "begin" or stack.pop() == name, text
            stack += [name] if kind == "begin" else []
        assert not stack
        columns = [row.count("&") + 1 for body in bodies(text) for row in body.split(r"\\")]
        allowed = re.search(r"MaxMatrixCols\}\{(\d+)\}", text)
        assert max(columns) <= (int(allowed[1]) if allowed else 10)
        assert not re.search(r"[−∞≈·]|NaN|undefined", text), state


def bodies(text: str) -> list[str]:
    return re.findall(r"\\begin\{pmatrix\}(.*?)\\end\{pmatrix\}", text)


def test_the_latex_shows_the_result_and_its_selected_number(states, export):
    for state, text in zip(states, export(states, "latex"), strict=True):
        wanted = reference(given(state))[state["pass"]].numpy()
        planes = wanted.reshape(-1, *wanted.shape[-2:]) if wanted.ndim > 1 else wanted[None, None]
        for plane, body in zip(planes, bodies(text)[-len(planes) :], strict=True):
            shown = [[value(cell) for cell in row.split("&")] for row in body.split(r"\\")]
            np.testing.assert_allclose(
                np.array(shown), plane, rtol=6e-4, atol=6e-4 * max(1, np.abs(finite(wanted)).max())
            )
        last = text.split(r"&= ")[-1] if r"&\approx" not in text else text.split(r"&\approx ")[-1]
        total = value(last.split("\n")[0])
        np.testing.assert_allclose(total, wanted[tuple(state["at"])], rtol=6e-4, atol=6e-4)


def finite(plane: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(plane), plane, 0)


def value(text: str) -> float:
    return float(text.strip().replace(r"\infty", "inf"))


def test_the_terms_of_the_worked_example(export, states):
    text = export([deck()], "latex")[0]
    assert (
        "Y_{0,2,2} &= 6 \\cdot 3 + 1 \\cdot 2 + 8 \\cdot 1 \\\\\n"
        "&\\quad - 7 \\cdot 0 + 9 \\cdot 3 + 2 \\cdot 3 \\\\\n"
        "&\\quad - 5 \\cdot 0 - 9 \\cdot 1 + 3 \\cdot 4 \\\\\n"
        "&= 64" in text
    )


def deck() -> dict:
    x = "-5 3 2 -5 3 4 3 2 1 -3 1 0 3 3 5 -2 0 1 4 4 5 6 7 9 -1"
    return {
        "preset": "conv-3x3", "operation": "conv2d", "pass": "forward",
        "x": {"shape": [1, 5, 5], "values": [int(one) for one in x.split()]},
        "weight": {"shape": [1, 1, 3, 3], "values": [6, 1, 8, -7, 9, 2, -5, -9, 3]}, "bias": None, "grad_output": None,
        "kernel_size": [3, 3], "stride": [1, 1], "padding": [1, 1], "dilation": [1, 1], "groups": 1,
        "output_padding": [0, 0], "padding_mode": "zeros", "ceil_mode": False, "count_include_pad": True,
        "flip": False, "at": [0, 2, 2], "ask": None,
    }  # fmt: skip


# The figure

SVG = "{http://www.w3.org/2000/svg}"


def test_the_figure_is_self_contained(states, export):
    for text in export(states, "svg"):
        root = ElementTree.fromstring(text)
        assert root.tag == f"{SVG}svg"
        assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {"svg", "title", "rect", "text", "path"}
        assert not re.search(r"href|url\(|style=|<script|class=", text)
        width, height = float(root.get("width")), float(root.get("height"))
        for box in root.iter(f"{SVG}rect"):
            assert 0 <= float(box.get("x", 0)) <= float(box.get("x", 0)) + float(box.get("width")) <= width
            assert 0 <= float(box.get("y", 0)) <= float(box.get("y", 0)) + float(box.get("height")) <= height
        assert root.find(f"{SVG}path") is not None


def test_the_figure_holds_the_numbers_and_outlines_the_window(export):
    root = ElementTree.fromstring(export([deck()], "svg")[0])
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert [text for text in texts if text in ("X", "W", "Y", "⊛", "=")] == ["X", "⊛", "W", "=", "Y"]
    assert len(texts) == 5 + 49 + 9 + 25
    result = "-66 25 -43 -81 84 52 -4 -39 -7 -121 55 55 64 -24 -29 -44 -12 -22 -21 -5 55 29 72 72 -44"
    assert texts[-25:] == result.replace("-", "−").split()
    assert [len(re.findall("[hv]", path.get("d"))) for path in root.iter(f"{SVG}path")] == [12, 12, 4]


# The worksheet


def test_the_answers_are_torchs(states, export):
    kinds = set()
    for state, asked in zip(states, export(states, "questions"), strict=True):
        assert [one["kind"] for one in asked].count("value") >= 1
        for one in asked:
            kinds.add(one["kind"])
            np.testing.assert_allclose(
                one["answer"], answer(state, one), rtol=1e-9, atol=1e-9, err_msg=f"{one}\n{state}"
            )
    assert kinds == {
        *("size", "size_other", "size_dilated", "parameters", "value", "term", "grad_x", "grad_weight", "grad_bias"),
        *("fan_out", "zero_outputs"),
    }


def answer(state: dict, one: dict) -> float | list[int]:
    """The question answered by torch alone."""
    index, layer, x = one["index"], reference_layer(state), tensor(state["x"])
    found = reference(given(state))
    match one["kind"]:
        case "size":
            return list(found["forward"].shape)
        case "size_other":
            stride = [int(one["values"]["stride"])] * 2
            return list(reference_layer(state | {"stride": stride})(x[None])[0].shape)
        case "size_dilated":
            return list(reference_layer(state | {"dilation": [2, 2], "padding": [0, 0]})(x[None])[0].shape)
        case "parameters":
            return sum(weight.numel() for weight in layer.parameters())
        case "value":
            return float(found["forward"][tuple(index)])
        case "term":
            return product_of(state, index[:3], index[3:])
        case "fan_out":
            return outputs_using(state, index)
        case "zero_outputs":
            return int((found["forward"] == 0).sum())
        case kind:
            return float(found[kind.removeprefix("grad_")][tuple(index)])


def product_of(state: dict, output: list[int], weight: list[int]) -> float:
    """W[weight] times what it multiplies for that output: the derivative by it, times itself."""
    layer = reference_layer(state)
    layer(tensor(state["x"])[None])[0][tuple(output)].backward()
    gradient = layer.weight.grad.flip(-2, -1) if state["flip"] else layer.weight.grad
    return float(gradient[tuple(weight)] * tensor(state["weight"])[tuple(weight)])


def outputs_using(state: dict, index: list[int]) -> int:
    """How many outputs a number can reach: those that become NaN with it."""
    layer, x = reference_layer(state), tensor(state["x"])
    if state["operation"].startswith("conv"):
        with torch.no_grad():
            layer.weight.fill_(1.0)
    x[tuple(index)] = torch.nan
    return int(layer(x[None]).isnan().sum())


class Sheet(HTMLParser):
    """The list items of a worksheet, by list, and every tag and attribute in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.items: dict[str, list[str]] = {"questions": [], "answers": []}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.list = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self.list = dict(attributes)["class"] if tag == "ol" else self.list
        if tag == "li":
            self.items[self.list].append("")

    def handle_endtag(self, tag: str) -> None:
        self.list = "" if tag == "ol" else self.list

    def handle_data(self, data: str) -> None:
        if self.list and self.items[self.list]:
            self.items[self.list][-1] += data


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_a_sheet_has_six_questions_and_their_answers(lang, states, export):
    tongued = [state | {"lang": lang} for state in states]
    for text, asked in zip(export(tongued, "worksheet"), export(states, "questions"), strict=True):
        sheet = Sheet(text)
        assert len(sheet.items["questions"]) == len(sheet.items["answers"]) == len(asked) <= 6
        for shown, one in zip(sheet.items["answers"], asked, strict=True):
            expected = one["answer"]
            if isinstance(expected, list):
                assert shown.strip() == " × ".join(map(str, expected))
            else:
                first = shown.removeprefix("≈ ").split()[0].replace("−", "-").replace("∞", "inf")
                assert float(first) == pytest.approx(expected, rel=1e-3, abs=1e-3)
        assert not [tag for tag, attributes in sheet.tags if tag == "script" or {"src", "href"} & set(attributes)]
        assert dict(sheet.tags)["html"]["lang"] == lang
        assert "undefined" not in text


def test_the_worked_example_has_six_questions_for_any_seed(export):
    found = export([deck()] * 40, "questions")
    assert {len(asked) for asked in found} == {6}
    assert len({str(asked) for asked in found}) == 40
    assert found == export([deck()] * 40, "questions")


def test_the_answers_print_on_a_page_of_their_own(export, browser):
    with watched_page(browser) as window:
        window.set_content(export([deck()], "worksheet")[0])
        assert len(re.findall(rb"/Type\s*/Page\b", window.pdf())) == 2
