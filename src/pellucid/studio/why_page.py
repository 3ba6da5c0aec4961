"""The page Why: what a number of the prediction is the sum of, and the way from it down to the pixels."""

from typing import Any

from pellucid.errors import UsageError
from pellucid.inspection.accounting import Account
from pellucid.inspection.layering import Layer, Layers
from pellucid.inspection.recording import INPUT
from pellucid.inspection.terms_of import explain
from pellucid.report.markup import Markup, join, tag
from pellucid.report.numerals import data, number
from pellucid.report.tables import folded
from pellucid.studio.address import Address
from pellucid.studio.aims import aim
from pellucid.studio.drawing import badge, counted, facts, panel, signed_rows
from pellucid.studio.field_view import field_view
from pellucid.studio.hops import Hop, followed, hops_of, path_text, starts
from pellucid.studio.memo import NotYetError
from pellucid.studio.numbers import number_terms
from pellucid.studio.page import Page
from pellucid.studio.session import Look, Session
from pellucid.studio.views import views
from pellucid.studio.window import arithmetic_address

__all__ = ["why_page"]

BIASES = 12
AGAIN = 300
"""Milliseconds after which the account is asked for again."""


def why_page(session: Session, address: Address) -> Page:
    """The page as the address says: `path` are hops from the target on, `follow` goes on to the pixels."""
    look = session.look(address)
    firsts = starts(session.predictor.model, look.trace, look.target, session.classes)
    path = _path(look, address, firsts)
    try:
        first, last, later = *_account(*session.account(address), address), None
        between = views(session, look, address)
    except NotYetError:
        waits = tag("p", "The account is being computed.", class_="waiting")
        first, between, last, later = [panel("The sum", waits, wide=True)], [], [], AGAIN
    hop = path[-1]
    sees = panel("What it sees", *field_view(look, hop, address))
    way = (_hop(look, path, firsts, address), tag("div", sees, _hops(look, path, address), class_="beside"))
    body = tag(
        "div",
        aim(session, look, address),
        tag("div", *first, class_="row"),
        tag("div", *way, class_="row"),
        *between,
        *last,
        class_="panels",
    )
    name = tag("bdi", session.photos.name(session.image(address)))
    lead = tag("span", name, ": ", tag("b", look.prediction.text().splitlines()[0]))
    return Page(f"Why {session.said(look.target)}", lead, body, f"{hop.said}, hop {len(path)}", later)


def _path(look: Look, address: Address, firsts: tuple[Hop, ...]) -> tuple[Hop, ...]:
    given = address.text("path")
    path = firsts[:1] if given is None else hops_of(given, look.trace)
    return followed(look.trace, path) if address.text("follow") else path


def _account(layers: Layers, drawn: str, address: Address) -> tuple[list[Markup], list[Markup]]:
    """What stands before the way to the pixels, and behind it."""
    account = layers.account
    before = [tag("div", _sum(account), _biases(account), class_="beside"), _picture(drawn)]
    return before, [_layers(layers, address)]


def _sum(account: Account) -> Markup:
    rows: list[tuple[object, float, object]] = [("pixels", account.input_contribution, "")]
    rows += [("biases", account.bias_contribution, "")]
    rows += [("place of the cell", account.constant, "")] if account.constant else []
    table = signed_rows("what it is the sum of", ("of", "gives", ""), rows)
    check = f"Σ {number(account.sum)} · network {number(account.logit)} · Δ {account.residual:+.1e} "
    said = tag("p", tag("b", data(account.logit)), " is the number; it is the sum of", class_="sum")
    return panel(account.target, said, table, tag("p", check, badge(account.badge), class_="note"), name="sum")


def _picture(drawn: str) -> Markup:
    note = "Squares of the network’s view, each the exact sum of its pixels: orange for, blue against."
    return panel("What every pixel gives", tag("div", Markup(drawn), class_="drawn"), note=note)


def _hop(look: Look, path: tuple[Hop, ...], firsts: tuple[Hop, ...], address: Address) -> Markup:
    """The number at the end of the path; following one of its terms makes the path longer."""

    def way(term: Hop) -> str:
        return address.href(path=path_text((*path, term)), follow=None)

    hop = path[-1]
    on = tag("a", "Follow the largest to the pixels", href=address.href(path=path_text(path), follow="1"), id="follow")
    further = Markup("") if hop.name == INPUT else tag("p", on)
    return panel(hop.said, _firsts(firsts, address), number_terms(look, hop, way), further, name="hop")


def _firsts(firsts: tuple[Hop, ...], address: Address) -> Markup:
    """What the target is made of, where that is more than one number."""
    if len(firsts) == 1 and firsts[0].factor == 1:
        return Markup("")
    links = (
        join([f"{number(hop.factor)} · ", tag("a", hop.said, href=address.href(path=hop.text, follow=None)), " "])
        for hop in firsts
    )
    return tag("p", "The target is made of ", *links, class_="note")


def _hops(look: Look, path: tuple[Hop, ...], address: Address) -> Markup:
    """The way so far: each hop with its value, and its own arithmetic."""
    rows = (_way(look, path[: at + 1], address, last=at == len(path) - 1) for at in range(len(path)))
    head = tag("tr", tag("th", "hop", scope="col"), tag("th", "value", scope="col", class_="number"), tag("td"))
    table = tag("table", tag("caption", "The way", class_="unseen"), tag("thead", head), *rows, class_="path")
    scroll = tag("div", table, class_="scroll tall", role="region", aria_label="The way", tabindex=0)
    return panel(f"The way, {counted(len(path), 'hop')}", scroll, name="way")


def _way(look: Look, path: tuple[Hop, ...], address: Address, *, last: bool) -> Markup:
    hop = path[-1]
    link = tag(
        "a", hop.said, href=address.href(path=path_text(path), follow=None), aria_current="step" if last else None
    )
    value = float(look.trace[hop.name].output[(0, *hop.at)])
    try:
        found = None if hop.name == INPUT else explain(look.trace, hop.name, hop.at)
    except UsageError:
        found = None
    opened: Any = "" if found is None else tag("a", "Arithmetic", href=arithmetic_address(look.trace, hop, found))
    cells = (tag("th", link, scope="row"), tag("td", data(value), class_="number"), tag("td", opened))
    return tag("tr", *cells)


def _layers(layers: Layers, address: Address) -> Markup:
    rows = [
        (
            tag("a", one.step.name, href=address.href("/network", op=one.step.name)),
            "×".join(map(str, one.step.shape)),
            *(one.through, one.around, one.biases),
            _channels(one, address),
            _places(one, address),
        )
        for one in layers.layers
    ]
    heads = ("layer", "output", "through it", "around it", "biases behind", "channels", "places")
    note = "In every row, what passes through the layer, around it and from biases behind it adds up to the number: "
    said = tag("span", note, f"largest Δ {layers.residual:+.1e}. ", badge(_worst(layers)))
    return panel("Layer by layer", folded("Layer by layer", heads, rows), note=said, wide=True, name="layers")


def _worst(layers: Layers) -> str:
    return next((one.badge for one in layers.layers if one.badge != "EXACT"), "EXACT")


def _channels(layer: Layer, address: Address) -> Markup:
    links = (
        join([tag("a", at, href=address.href("/network", op=layer.step.name, channel=at)), f" {number(value)} "])
        for at, value in layer.greatest_channels(3)
    )
    return join(links)


def _places(layer: Layer, address: Address) -> Markup:
    name = layer.step.name
    links = (
        join([tag("a", f"{y},{x}", href=address.href("/network", op=name, row=y, column=x)), f" {number(value)} "])
        for y, x, value in layer.greatest_places(2)
    )
    return join(links)


def _biases(account: Account) -> Markup:
    order = sorted(account.biases, key=lambda share: -abs(share.contribution))
    rows: list[tuple[object, float, object]] = [(one.name, one.contribution, one.kind) for one in order[:BIASES]]
    left = sum(one.contribution for one in order[BIASES:])
    rows += [(f"{len(order) - BIASES} more", left, "")] if len(order) > BIASES else []
    table = signed_rows("What the biases of each layer give", ("layer", "gives", "kind"), rows)
    return panel("What biases give", table, facts([("all biases", data(account.bias_contribution))]))
