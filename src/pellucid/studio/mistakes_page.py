"""The page Mistakes: what the model gets wrong on its data, and what may be the reason."""

from pellucid.errors import UsageError
from pellucid.inspection.findings import Finding, HealthReport
from pellucid.inspection.health import health_of
from pellucid.report.markup import Markup, join, tag
from pellucid.report.matrix import most_confused, shade
from pellucid.report.numerals import count, number
from pellucid.studio.address import Address
from pellucid.studio.drawing import counted, panel
from pellucid.studio.judging import Judged, Mistake, judged
from pellucid.studio.memo import NotYetError
from pellucid.studio.page import Page, missing, waiting
from pellucid.studio.photos import Split
from pellucid.studio.session import Session

__all__ = ["mistakes_page"]

WORST = 48
MOST_CLASSES = 40
EXAMINED = 128
AGAIN = 700
"""Milliseconds after which findings are asked for again."""
COUNTED = {"classify": "images", "segment": "pixels", "detect": "objects"}


def mistakes_page(session: Session, address: Address) -> Page:
    """The page as the address says: `cell` (row,column) of the confusion matrix, or else the largest losses."""
    photos, model = session.photos, session.subject.model
    if not isinstance(photos, Split) or model is None:
        return missing("/mistakes", "Mistakes are those on images with labels.")
    try:
        found: Judged = session.slow.get("judged", lambda: judged(model, photos, session.progress))
    except NotYetError:
        done, images = session.progress.done, session.progress.images
        bar = tag("progress", value=done, max=images or 1)
        said = f"{count(done)} of {counted(images, 'image')} judged." if images else "The images are being decoded."
        return waiting("/mistakes", said, [tag("p", bar)])
    lead = f"{counted(len(found.rows), 'image')} of the {photos.split} split"
    wrong = sum(row != column for one in found.rows for row, column in one.pairs)
    lead += f"; of {count(wrong)} the class is wrong." if session.task == "classify" else "."
    findings, later = _findings(session, photos)
    parts = (findings, _matrix(session, found, address), _images(session, found, address))
    return Page("Mistakes", lead, tag("div", *parts, class_="panels"), lead, later)


def _findings(session: Session, photos: Split) -> tuple[Markup, int | None]:
    """What an examination finds; None milliseconds once it has."""
    model, data = str(session.subject.model), str(session.subject.data)
    try:
        report: HealthReport = session.slow.get(
            "health", lambda: health_of(model, data, split=photos.split, images=EXAMINED)
        )
    except NotYetError:
        return panel("Findings", tag("p", "The network is being examined.", class_="waiting"), wide=True), AGAIN
    listed = [_finding(one) for one in report.findings] or [tag("li", "Nothing was found.")]
    well = tag("details", tag("summary", "What is well"), tag("ul", *(tag("li", text) for text in report.passed)))
    note = f"On {counted(report.images, 'image')}."
    return panel("Findings", tag("ul", *listed, class_="findings"), well, note=note, wide=True, name="findings"), None


def _finding(one: Finding) -> Markup:
    level = tag("b", one.level, class_=one.level)
    where = tag("span", ", ".join(one.where[:6]), class_="note") if one.where else ""
    again = tag("code", one.command)
    return tag("li", level, " ", one.text, " ", one.cure, " ", where, tag("br"), again)


def _matrix(session: Session, found: Judged, address: Address) -> Markup:
    """Counts whose cells lead to their images; of very many classes, those that the largest confusions name."""
    counts = found.confusion.tolist()
    every = len(counts) <= MOST_CLASSES
    shown = tuple(range(len(counts))) if every else most_confused(counts).shown
    names = [session.classes[at] for at in shown]
    heads = (tag("th", tag("bdi", name), scope="col") for name in names)
    corner = tag("th", "prediction →", tag("br"), "target ↓", scope="col")
    rows = (_row(session.classes[row], counts[row], row, shown, address) for row in shown)
    caption = tag("caption", "What was taken for what", class_="unseen")
    table = tag("table", caption, tag("thead", tag("tr", corner, *heads)), tag("tbody", *rows), class_="matrix")
    scroll = tag("div", table, class_="scroll", role="region", aria_label="What was taken for what", tabindex=0)
    unit = COUNTED[session.task]
    note = f"{unit.capitalize()} by target and prediction. A cell leads to its images."
    note += "" if every else f" Of {count(len(counts))} classes, the {len(shown)} that the largest confusions name."
    return panel("What was taken for what", scroll, note=note, name="confusion", wide=len(shown) > 8)


def _row(name: str, counts: list[int], row: int, shown: tuple[int, ...], address: Address) -> Markup:
    total, chosen = sum(counts), address.text("cell")
    cells = []
    for column in shown:
        value, place = counts[column], f"{row},{column}"
        words: object = count(value)
        if value:
            current = "true" if place == chosen else None
            words = tag(
                "a", count(value), href=address.href(cell=place), aria_current=current, id=f"cell-{row}-{column}"
            )
        kind = f"q{shade(value, total)}" + (" same" if row == column else "")
        cells.append(tag("td", words, class_=kind))
    return tag("tr", tag("th", tag("bdi", name), scope="row"), *cells)


def _images(session: Session, found: Judged, address: Address) -> Markup:
    if address.text("cell") is None:
        rows, title = list(found.rows[:WORST]), f"The {WORST} largest losses" if len(found.rows) > WORST else "By loss"
        all_of_them = Markup("")
    else:
        row, column = _cell(found, address)
        rows = found.of_cell(row, column)[:WORST]
        title = f"{session.classes[row]}, taken for {session.classes[column]}"
        all_of_them = tag("p", tag("a", "Back to the largest losses", href=address.href(cell=None), id="all"))
    listed = [_image(session, one, address) for one in rows]
    shown = tag("ul", *listed, class_="pictures") if listed else tag("p", "No image.", class_="note")
    return panel(title, all_of_them, shown, wide=True, name="images")


def _cell(found: Judged, address: Address) -> tuple[int, int]:
    cell = address.numbers("cell")
    if len(cell) != 2 or max(cell) >= len(found.confusion):
        raise UsageError(f"cell={address.text('cell')} in the address: give the numbers of two classes, as 3,4.")
    return cell[0], cell[1]


def _image(session: Session, one: Mistake, address: Address) -> Markup:
    name = session.photos.name(one.image)
    picture = tag("img", src=f"/thumbnail.png?image={one.image}", alt="", loading="lazy", width=112, height=112)
    label = session.photos.label(one.image)
    truth = join([tag("b", session.classes[label]), ", said "]) if isinstance(label, int) else ""
    words = tag("figcaption", truth, one.said, tag("br"), f"loss {number(one.loss)}")
    fresh = dict.fromkeys(address.values)
    href = address.href("/why", **{**fresh, "image": one.image})
    return tag("li", tag("a", tag("figure", picture, words), href=href, title=name, id=f"image{one.image}"))
