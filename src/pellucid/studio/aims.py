"""Which image is looked at and which number of it is explained: links and a form, the same on several pages."""

from collections.abc import Iterable, Sequence
from typing import Any

from pellucid.inspection.targets import PARTS, Class, Pixel
from pellucid.predictions.detect import BoxPostprocess
from pellucid.report.markup import Markup, join, tag
from pellucid.report.numerals import count
from pellucid.studio.address import Address
from pellucid.studio.session import Look, Session

__all__ = ["aim", "hidden", "place_form"]

OFFERED = 60
"""Classes in a menu, the surest of them."""


def aim(session: Session, look: Look, address: Address) -> Markup:
    """The images of the data, and the targets of one."""
    form = {"classify": _classes, "segment": _pixels, "detect": _boxes}[session.task]
    return tag("div", _images(session, address), form(session, look, address), class_="aim")


def hidden(values: Iterable[tuple[str, str]]) -> Markup:
    """Values that a form keeps."""
    return join(tag("input", type="hidden", name=name, value=value) for name, value in values)


def place_form(
    address: Address, fields: Sequence[tuple[str, int, int]], picture: Markup, *more: object, **kept: object
) -> Markup:
    """A picture that is pointed at, and two fields (name, value, limit) that say the same."""
    names = {name for name, _, _ in fields}
    values = {**address.values, **{key: str(value) for key, value in kept.items()}}
    inputs = (
        tag(
            "label",
            name,
            " ",
            tag("input", type="number", id=f"field-{name}", name=name, value=value, min=0, max=limit - 1),
        )
        for name, value, limit in fields
    )
    again = hidden((key, value) for key, value in values.items() if key not in names)
    limits = " ".join(str(limit) for _, _, limit in fields)
    picked = tag("div", picture, class_="pick", data_limits=limits)
    row = tag("p", *inputs, *more, tag("button", "Show"), class_="fields")
    return tag("form", again, picked, row, action=address.path, method="get")


def _images(session: Session, address: Address) -> Markup:
    at, last = session.image(address), len(session.photos) - 1
    if not last:
        return Markup("")
    fresh = dict.fromkeys(address.values)
    links = [
        tag("a", word, href=address.href(**{**fresh, "image": to}), id=word.lower())
        for word, to in (("Previous", at - 1), ("Next", at + 1))
        if 0 <= to <= last
    ]
    return tag(
        "p", f"Image {count(at + 1)} of {count(last + 1)} ", *(join([link, " "]) for link in links), class_="images"
    )


def _menu(name: str, label: str, options: Iterable[tuple[str, str]], chosen: str) -> Markup:
    parts = (tag("option", text, value=value, selected=value == chosen) for value, text in options)
    return tag("label", label, " ", tag("select", *parts, name=name, id=f"menu-{name}"))


def _form(address: Address, *parts: Markup, taken: Sequence[str]) -> Markup:
    kept = hidden((key, value) for key, value in address.values.items() if key not in (*taken, "path"))
    return tag("form", kept, *parts, tag("button", "Explain"), action=address.path, method="get", class_="fields")


def _classes(session: Session, look: Look, address: Address) -> Markup:
    order = look.decoded["logits"].argsort()[::-1][:OFFERED].tolist()
    names = [session.classes[at] for at in order]
    target = look.target
    assert isinstance(target, Class)
    own = _named(session, target.name)
    names = names if own in names else [*names, own]
    first = _menu("target", "Explain", ((f"class:{name}", name) for name in names), f"class:{own}")
    against = "" if target.versus is None else _named(session, target.versus)
    others = [("", "nothing"), *((name, name) for name in names if name != own)]
    return _form(address, first, _menu("versus", "against", others, against), taken=("target", "versus"))


def _named(session: Session, name: str | int) -> str:
    return session.classes[name] if isinstance(name, int) else name


def _pixels(session: Session, look: Look, address: Address) -> Markup:
    """The photo, any pixel of which can be picked."""
    target, (height, width) = look.target, look.photo.shape[:2]
    assert isinstance(target, Pixel)
    at = [_photo_pixel(look, axis, place) for axis, place in enumerate((target.y, target.x))]
    y, x = (address.number(name) or place for name, place in zip("yx", at, strict=True))
    image = tag("image", href=address.href("/photo.png"), width=width, height=height)
    side = max(height, width) / 40
    mark = tag("circle", cx=x + 0.5, cy=y + 0.5, r=f"{side / 2:.1f}", class_="mark")
    said = f"the photo with its mask, {height} rows, {width} columns"
    picture = tag("svg", image, mark, viewBox=f"0 0 {width} {height}", class_="view", role="img", aria_label=said)
    labels = [("", "what is predicted"), *((name, name) for name in session.classes)]
    menu = _menu("label", "Explain", labels, address.text("label") or "")
    others = [("", "nothing"), *((name, name) for name in session.classes)]
    against = "" if target.versus is None else _named(session, target.versus)
    versus = _menu("versus", "against", others, against)
    kept = Address(address.path, {key: value for key, value in address.values.items() if key not in TAKEN})
    return place_form(kept, (("y", y, height), ("x", x, width)), picture, menu, versus)


TAKEN = ("target", "label", "versus", "path", "y", "x")


def _photo_pixel(look: Look, axis: int, place: int) -> int:
    """The pixel of the photo that the middle of a network pixel falls on."""
    return min(look.frame.photo[axis] - 1, (2 * place + 1) * look.frame.photo[axis] // (2 * look.frame.network[axis]))


def _boxes(session: Session, look: Look, address: Address) -> Markup:
    postprocess: Any = session.predictor.postprocess
    assert isinstance(postprocess, BoxPostprocess)
    _, labels, _ = postprocess.kept(look.decoded, postprocess.threshold)
    if not len(labels):
        return tag("p", "No box is found; explained is the surest candidate.", class_="note")
    options = [
        (f"box:{at}" + ("" if part == "score" else f":{part}"), f"box {at}, {session.classes[int(label)]}: {part}")
        for at, label in enumerate(labels.tolist())
        for part in PARTS
    ]
    return _form(address, _menu("target", "Explain", options, address.text("target") or "box:0"), taken=("target",))
