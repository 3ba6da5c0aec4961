"""What a number of the network sees, drawn on what the network is given."""

from pellucid.errors import UsageError
from pellucid.inspection.fields import Field, box_around, seen
from pellucid.report.markup import Markup, tag
from pellucid.report.numerals import count
from pellucid.studio.address import Address
from pellucid.studio.drawing import facts, framed, view
from pellucid.studio.hops import Hop
from pellucid.studio.session import Look

__all__ = ["field_view"]


def field_view(look: Look, hop: Hop, address: Address) -> list[Markup]:
    """The network's view with a frame around all pixels that the number was made of, and its size in words."""
    size, source = look.pixels.shape[:2], address.href("/view.png")
    at = (hop.at[1], hop.at[2]) if len(hop.at) == 3 else (0, 0)
    try:
        mask = seen(look.trace, hop.name, at)
    except UsageError as error:
        return [view(source, size, "what the network is given"), tag("p", str(error), class_="note")]
    box = box_around(mask)
    told = f"{count(int(mask.sum()))} of {count(mask.size)} pixels"
    field = next(one for one in look.fields if one.name == hop.name)
    said = f"what the network is given; {hop.said} sees {told} inside the frame"
    return [view(source, size, said, [] if box is None else [framed(box)]), facts([("sees", told), *_sizes(field)])]


def _sizes(field: Field) -> list[tuple[str, str]]:
    if field.rows is None or field.columns is None or field.everything:
        return []
    sizes = (f"{float(one.size):g}" for one in (field.rows, field.columns))
    jumps = (f"{float(one.jump):g}" for one in (field.rows, field.columns))
    return [("receptive field", " × ".join(sizes) + " pixels"), ("jump", " × ".join(jumps))]
