"""The form of all arguments, with the values of the first example; the page's script reads and writes it."""

from collections.abc import Sequence

from pellucid.report.markup import Markup, join, tag

__all__ = ["controls"]

ALL = "conv2d conv_transpose2d max_pool2d avg_pool2d relu"
WINDOWS = "conv2d conv_transpose2d max_pool2d avg_pool2d"
FILTERS = "conv2d conv_transpose2d"
SIDES = ("height", "width")


def controls() -> Markup:
    """Every argument of every operation, grouped; a script hides what the chosen operation does not have."""
    shapes = [
        _number("in_channels", ALL, 1, (1, 8)),
        _number("out_channels", FILTERS, 1, (1, 8)),
        _pair("size", ALL, 5, (1, 16)),
    ]
    window = [
        _pair("kernel_size", WINDOWS, 3, (1, 11)),
        _pair("stride", WINDOWS, 1, (1, 8)),
        _padding(),
        _select("padding_mode", "conv2d", ("zeros", "reflect", "replicate", "circular")),
        _pair("output_padding", "conv_transpose2d", 0, (0, 7)),
        _pair("dilation", "conv2d conv_transpose2d max_pool2d", 1, (1, 6)),
    ]
    choices = [
        _groups(),
        _flag("bias", FILTERS, checked=True),
        _flag("flip", FILTERS, say="flip", label="true convolution"),
        _flag("ceil_mode", "max_pool2d avg_pool2d"),
        _flag("count_include_pad", "avg_pool2d", checked=True),
    ]
    reset = tag("button", "Back to the example", type="button", id="reset", data_say="reset", class_="quiet")
    operation = _select("operation", ALL, ALL.split())
    blocks = ([operation], shapes, window, choices)
    return join([*(tag("div", *block, class_="block") for block in blocks), reset])


def _field(argument: str, operations: str, *children: object) -> Markup:
    named = tag("span", argument, class_="argument")
    first = "conv2d" in operations.split()
    return tag("div", named, *children, class_="field", data_for=operations, data_argument=argument, hidden=not first)


def _input(name: str, value: int, limits: tuple[int, int], label: str) -> Markup:
    least, most = limits
    return tag("input", type="number", name=name, value=value, min=least, max=most, aria_label=label)


def _number(argument: str, operations: str, value: int, limits: tuple[int, int]) -> Markup:
    return _field(argument, operations, _input(argument, value, limits, argument))


def _pair(argument: str, operations: str, value: int, limits: tuple[int, int]) -> Markup:
    return _field(argument, operations, _both(argument, value, limits))


def _both(argument: str, value: int, limits: tuple[int, int]) -> Markup:
    first, second = (
        _input(f"{argument}.{place}", value, limits, f"{argument} {side}") for place, side in enumerate(SIDES)
    )
    return tag("span", first, tag("i", "×", aria_hidden="true"), second, class_="pair")


def _padding() -> Markup:
    words = _options(("numbers", "same", "valid"), "padding.word", "padding")
    return _field("padding", WINDOWS, tag("span", words, _both("padding", 1, (0, 8)), class_="pair"))


def _select(argument: str, operations: str, options: Sequence[str]) -> Markup:
    return _field(argument, operations, _options(options, argument, argument))


def _options(options: Sequence[str], name: str, label: str) -> Markup:
    return tag("select", *(tag("option", option, value=option) for option in options), name=name, aria_label=label)


def _groups() -> Markup:
    slider = tag("input", type="range", name="groups", min=0, max=0, value=0, disabled=True, aria_label="groups")
    return _field("groups", FILTERS, tag("span", slider, tag("output", "1 · standard", name="groups.shown")))


def _flag(name: str, operations: str, *, checked: bool = False, say: str | None = None, label: str = "") -> Markup:
    box = tag("input", type="checkbox", name=name, checked=checked)
    words = tag("span", label or name, data_say=say, class_=None if say else "argument")
    hidden = "conv2d" not in operations.split()
    return tag("div", tag("label", box, words), class_="field flag", data_for=operations, hidden=hidden)
