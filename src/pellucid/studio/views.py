"""What only one task has on the page Why: candidates of a detector, streams of a network for masks."""

from pellucid.inspection.box_picture import boxes_svg
from pellucid.inspection.candidates import Candidate, Candidates
from pellucid.inspection.targets import Pixel
from pellucid.report.markup import Markup, tag
from pellucid.report.numerals import count, data, number
from pellucid.report.tables import folded
from pellucid.studio.address import Address
from pellucid.studio.drawing import badge, facts, figure, panel, signed_rows
from pellucid.studio.session import Look, Session
from pellucid.studio.sprites import tile

__all__ = ["views"]

Cell = str | int | float | None


def views(session: Session, look: Look, address: Address) -> list[Markup]:
    """The panels of the session’s task."""
    if session.task == "detect":
        return _candidates(session.candidates(address), look, address)
    if isinstance(look.target, Pixel):
        return _streams(session, address)
    return []


def _candidates(found: Candidates, look: Look, address: Address) -> list[Markup]:
    note = f"Before suppression. Kept is a box from a score of {number(found.threshold)} on, unless a surer one of its "
    note += f"class meets it by an IoU above {number(found.overlap)}; the one that suppressed it is named."
    terms = tuple(found.loss or ())
    heads = ("", "class", "score", "raw", "stride", "cell", "fate", "IoU", *(("learns", *terms) if terms else ()))
    kept = [at for at, row in enumerate(found.rows) if row.fate == "kept"]
    rows = [(*_row(at, row, kept, address), *_lesson(row, terms)) for at, row in enumerate(found.rows)]
    table = panel(f"{count(len(rows))} candidates", folded("Candidates", heads, rows), note=note, wide=True)
    drawn = tag("div", Markup(boxes_svg(found, look.photo)), class_="drawn")
    said = "Orange: kept. Blue, dashed: suppressed. Green: what is there. Point at one to read what became of it."
    return [panel("Boxes", drawn, note=said), table, *_objects(found)]


def _objects(found: Candidates) -> list[Markup]:
    """What is there, and the terms of the loss, where the data says so."""
    if found.loss is None:
        return []
    learners = (", ".join(f"#{learner}" for learner in one.learners) or "none listed" for one in found.objects)
    rows = [(at, one.label, who) for at, (one, who) in enumerate(zip(found.objects, learners, strict=True))]
    objects = panel("Objects that are there", folded("Objects", ("object", "class", "learnt by candidates"), rows))
    return [objects, panel("Loss of this photo", facts((name, data(term)) for name, term in found.loss.items()))]


def _row(at: int, row: Candidate, kept: list[int], address: Address) -> tuple[Cell, ...]:
    stride, cell = ("", "") if row.place is None else (f"{row.place.stride:g}", row.place.cell)
    link = f"#{at}"
    if at in kept:
        link = tag("a", link, href=address.href(target=f"box:{kept.index(at)}", path=None, follow=None))
    fate = row.fate if row.by is None else f"suppressed by #{row.by}"
    return (link, row.label, row.score, row.raw, stride, cell, fate, row.overlap)


def _lesson(row: Candidate, terms: tuple[str, ...]) -> tuple[Cell, ...]:
    if not terms:
        return ()
    if row.lesson is None:
        return ("", *(None for _ in terms))
    what = "background" if row.lesson.object < 0 else f"object {row.lesson.object} at {row.lesson.share:.3f}"
    return (what, *(row.lesson.terms.get(name) for name in terms))


def _streams(session: Session, address: Address) -> list[Markup]:
    found = session.streams(address)
    if found is None:
        return []
    rows: list[tuple[object, float, object]] = [(one.name, one.contribution, "") for one in found.streams]
    table = signed_rows("streams", ("level", "gives", ""), rows)
    names = [*(one.name for one in found.streams), "sum"]
    size = (found.plane.shape[0], found.plane.shape[1])
    source = address.href("/streams.png")
    tiles = (tag("li", figure(tile(source, at, len(names), size, name), name)) for at, name in enumerate(names))
    check = f"Σ {number(found.sum)} · network {number(found.logit)} · Δ {found.residual:+.1e} "
    said = tag("p", tag("b", data(found.logit)), " is the sum of its levels.", class_="sum")
    note = tag("p", check, badge(found.badge), class_="note")
    return [panel("Streams", said, table, note, tag("ul", *tiles, class_="tiles"), wide=True)]
