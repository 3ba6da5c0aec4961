"""The page Network: the operations of the model on the user's own image, and what one of them gives."""

from pellucid.inspection.costs import intensity
from pellucid.inspection.recording import Operation
from pellucid.ops.counting import CONVENTION
from pellucid.report.markup import Markup, tag
from pellucid.report.numerals import count, data, number
from pellucid.studio.address import Address
from pellucid.studio.aims import aim, place_form
from pellucid.studio.chosen import Chosen, choose
from pellucid.studio.drawing import facts, figure, framed, panel, signed_rows
from pellucid.studio.field_view import field_view
from pellucid.studio.hops import Hop, path_text
from pellucid.studio.numbers import number_terms
from pellucid.studio.page import Page
from pellucid.studio.planes import THUMBNAIL, filter_of
from pellucid.studio.session import Look, Session
from pellucid.studio.sprites import clear_tile, tile
from pellucid.studio.strip import shape_text, strip

__all__ = ["network_page"]

SHOWN = 6
"""Channels and kernels that are drawn before more are asked for."""


def network_page(session: Session, address: Address) -> Page:
    """The page as the address says: `op`, `channel`, `row`, `column`, and `all` channels."""
    look = session.look(address)
    chosen = choose(look, address)
    name = tag("bdi", session.photos.name(session.image(address)))
    lead = tag("span", name, ": ", tag("b", look.prediction.text().splitlines()[0]))
    parts = [aim(session, look, address), _strip(session, look, chosen, address)]
    parts += [_maps(chosen, address) if chosen.maps else _units(session, chosen, address)]
    beside = (panel("What it sees", *field_view(look, chosen.hop, address)), _kernels(chosen, address), _cost(chosen))
    parts += [_number(look, chosen, address), tag("div", *beside, class_="beside")]
    spoken = f"{chosen.hop.said}, {chosen.operation.kind}, {shape_text(chosen.operation)}"
    return Page("Network", lead, tag("div", *parts, class_="panels"), spoken)


def _strip(session: Session, look: Look, chosen: Chosen, address: Address) -> Markup:
    maps = [one.index for one in look.trace if one.output.ndim == 4]

    def card(one: Operation) -> Markup:
        current = "true" if one is chosen.operation else None
        drawn = Markup("")
        if one.output.ndim == 4:
            drawn = clear_tile(address.href("/strip.png"), maps.index(one.index), len(maps), THUMBNAIL)
        href = address.href(op=one.name, channel=None, row=None, column=None, all=None)
        return tag("a", drawn, _words(one), href=href, title=one.name, aria_current=current, id=f"op{one.index}")

    params, macs = sum(one.params for one in look.trace), sum(one.macs or 0 for one in look.trace)
    note = f"{len(look.trace) - 1} operations, {count(params)} parameters, {count(macs)} MACs. "
    note += f"Drawn is the channel of each that gives most to {session.said(look.target)}."
    title = str(session.predictor.model.architecture.get("name", "The network"))
    return panel(title, strip(look.trace, chosen.operation.name, card), note=note, wide=True)


def _words(one: Operation) -> Markup:
    costs = [f"{_short(one.params)} params"] if one.params else []
    costs += [f"{_short(one.macs)} MACs"] if one.macs else []
    name = tag("b", one.name.rpartition(".")[2])
    parts = [one.kind if one.kind != one.name else "", shape_text(one), " · ".join(costs)]
    return tag("span", name, *(tag("small", part) for part in parts if part), class_="words")


def _short(value: int) -> str:
    """Three digits: 1.18 M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return str(value)


def _maps(chosen: Chosen, address: Address) -> Markup:
    operation, every = chosen.operation, address.text("all") is not None
    shown = chosen.order if every else chosen.order[:SHOWN]
    shown = shown if chosen.channel in shown else (*shown, chosen.channel)
    source = address.href("/maps.png", op=operation.name, channels=",".join(map(str, shown)))
    tiles = (
        _map(chosen, address, tile(source, at, len(shown), chosen.size, ""), shown[at]) for at in range(len(shown))
    )
    limit = number(float(operation.output.abs().max()))
    order = (
        "by what they give to the target" if chosen.shares is not None else "by size: they give nothing to the target"
    )
    note = f"Channels {order}. All on one scale, blue −{limit} to orange +{limit}."
    more = _more(len(chosen.order), SHOWN, every, address)
    return panel(f"Maps of {operation.name}", tag("ul", *tiles, class_="tiles"), more, note=note, wide=True)


def _map(chosen: Chosen, address: Address, drawn: Markup, channel: int) -> Markup:
    share = "" if chosen.shares is None else data(float(chosen.shares[channel]))
    said = tag("span", tag("span", "channel ", class_="unseen"), tag("b", channel), " ", share)
    href = address.href(op=chosen.operation.name, channel=channel, row=None, column=None)
    current = "true" if channel == chosen.channel else None
    return tag("li", tag("a", figure(drawn, said), href=href, aria_current=current, id=f"channel{channel}"))


def _more(there: int, shown: int, every: bool, address: Address) -> Markup:
    if there <= shown:
        return Markup("")
    words = f"The first {shown}" if every else f"All {count(there)}"
    return tag("p", tag("a", words, href=address.href(all=None if every else "1"), id="all"))


def _units(session: Session, chosen: Chosen, address: Address) -> Markup:
    """What is no map: the units that give most, as numbers; the logits by the names of their classes."""
    operation, every = chosen.operation, address.text("all") is not None
    values = (
        operation.output[0].double().flatten(1).sum(1) if operation.output.ndim > 2 else operation.output[0].double()
    )
    names = session.classes if len(values) == len(session.classes) else tuple(map(str, range(len(values))))
    order = values.argsort(descending=True).tolist() if names == session.classes else list(chosen.order)
    rows = []
    for unit in order if every else order[: 2 * SHOWN]:
        link = tag("a", names[unit], href=address.href(op=operation.name, channel=unit), id=f"unit{unit}")
        rows.append((link, float(values[unit]), "" if chosen.shares is None else data(float(chosen.shares[unit]))))
    table = signed_rows(f"Numbers of {operation.name}", ("unit", "value", "gives to the target"), rows)
    return panel(f"Numbers of {operation.name}", table, _more(len(order), 2 * SHOWN, every, address))


def _number(look: Look, chosen: Chosen, address: Address) -> Markup:
    """One number of the channel: the map to pick it from, and its terms; a term leads on to the page Why."""
    hop, picked = chosen.hop, Markup("")
    if chosen.maps:
        source = address.href("/maps.png", op=chosen.operation.name, channels=chosen.channel)
        row, column = chosen.at
        said = f"channel {chosen.channel}, {chosen.size[0]} rows, {chosen.size[1]} columns"
        mark = framed((column, row, column + 1, row + 1))
        drawn = tile(source, 0, 1, chosen.size, said, [mark])
        fields = (("row", row, chosen.size[0]), ("column", column, chosen.size[1]))
        picked = place_form(address, fields, drawn, op=chosen.operation.name, channel=chosen.channel)

    def way(term: Hop) -> str:
        return address.href("/why", path=path_text((hop, term)))

    return panel(hop.said, picked, number_terms(look, hop, way), name="number")


def _kernels(chosen: Chosen, address: Address) -> Markup:
    weight = filter_of(chosen.operation, chosen.channel)
    if weight is None or max(weight.shape[1:]) == 1:
        return Markup("")
    size = (weight.shape[1], weight.shape[2])
    order = weight.abs().flatten(1).sum(1).argsort(descending=True, stable=True).tolist()
    shown = order if address.text("all") is not None else order[:SHOWN]
    source = address.href("/kernels.png", op=chosen.operation.name, channel=chosen.channel)
    tiles = (
        tag("li", figure(tile(source, at, len(order), size, f"kernel of input channel {at}"), tag("b", at)))
        for at in shown
    )
    limit = number(float(weight.abs().max()))
    note = f"Of input channels, the largest first; {len(order)} kernels of {size[0]}×{size[1]}, −{limit} to +{limit}."
    title = f"Kernels of channel {chosen.channel}"
    return panel(title, tag("ul", *tiles, class_="tiles small"), note=note)


def _cost(chosen: Chosen) -> Markup:
    one = chosen.operation
    ratio = intensity(one)
    rows: list[tuple[str, object]] = [
        ("kind", one.kind),
        ("output", shape_text(one)),
        ("parameters", count(one.params)),
    ]
    rows += [("MACs", "not known" if one.macs is None else count(one.macs)), ("bytes moved", count(one.bytes))]
    rows += [("FLOPs a byte", number(ratio))] if ratio is not None else []
    return panel("What it costs", facts(rows), note=CONVENTION)
