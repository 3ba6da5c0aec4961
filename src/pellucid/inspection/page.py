"""Explanations as pages: one self-contained HTML file each, readable without a script."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from pellucid.inspection.accounting import Account
from pellucid.inspection.box_picture import boxes_svg
from pellucid.inspection.candidates import Candidate, Candidates
from pellucid.inspection.cells import Lesson
from pellucid.inspection.explaining import Explanation, MapExplanation
from pellucid.inspection.heat import heat_picture, square_picture
from pellucid.inspection.layering import Layer, Layers
from pellucid.inspection.picture import account_figure
from pellucid.inspection.trials import Trials
from pellucid.panels import Curve, Gallery, Picture, Table
from pellucid.report.document import Masthead, document
from pellucid.report.drawing import draw_curve, draw_panel, figure
from pellucid.report.markup import Markup, join, tag
from pellucid.report.numerals import MINUS, data
from pellucid.report.pictures import data_uri

__all__ = ["explanation_page", "map_page"]

LOOKS = """
.why svg, .why img { display: block; width: 100%; max-width: 40rem; height: auto; border-radius: 6px; }
.badge { display: inline-block; padding: 0.05rem 0.5rem; border: 1px solid currentColor; border-radius: 4px; }
.badge { color: var(--accent); font-size: 0.8rem; font-weight: 600; letter-spacing: 0.04em; }
.badged { margin-bottom: 1.25rem; }
.why + .badged { margin-top: 1rem; }
.sum { margin-top: 1rem; font-size: 1.05rem; }
@media (max-width: 40rem) { .figures .value { white-space: normal; } }
"""
SHOWN = 640
"""Pixels of a picture on the page."""
SMALL = 144
"""And of a small one."""
MAPS = 8
"""Layers whose places are drawn."""
ROWS = 40
"""Candidates that are listed."""
NO_BREAK = "\N{NO-BREAK SPACE}"
Cell = str | int | float | None
READ = {
    "EXACT": "The parts add up to the network's own number; what is left is rounding.",
    "FIRST-ORDER": "The network is not piecewise linear around this image: the parts are those of its tangent.",
    "HEURISTIC": "A rule of thumb, which nothing proves. See the trials below.",
    "MEASURED": "What the number fell by when the square was covered; squares were covered one by one.",
}


def explanation_page(found: Explanation) -> Markup:
    """The account of a number: its sum, the picture, the view of the task, layers and biases."""
    sections = [
        ("sum", "The sum", _sum(found)),
        ("boxes", "Candidates", _boxes(found)),
        ("streams", "Streams", _streams(found)),
        ("layers", "Layer by layer", _layers(found.layers, found.pixels)),
        ("biases", "Biases", draw_panel(_shares(found.account), "shares")),
    ]
    account = found.account
    outcome = f"{account.logit:.6g}, of which {account.input_contribution:+.6g} from pixels, "
    outcome += f"{account.bias_contribution:+.6g} from biases."
    facts = (
        ("image", Path(found.view.image).name),
        ("model", found.view.model),
        ("residual", f"{account.residual:+.1e}"),
    )
    masthead = Masthead("why a number is what it is", account.target, outcome, facts, "What was explained")
    return document(masthead, sections, LOOKS)


def map_page(found: MapExplanation) -> Markup:
    """A heat map, and its trials."""
    heat = found.heat
    note = f"Orange speaks for {heat.target}, blue against it. "
    note += (
        f"Weighed is the map of {heat.layer}, {heat.cells.shape[0]} x {heat.cells.shape[1]} cells."
        if heat.layer
        else ""
    )
    note += f"Completeness: the map sums to {heat.gap:+.2g} more than it should." if heat.gap is not None else ""
    image = tag("img", src=data_uri(map_picture(found), SHOWN), alt=heat.summary())
    sections = [
        (
            "map",
            "The map",
            join(
                [
                    _badge(heat.badge),
                    tag("div", figure("drawn", heat.method, note, tag("div", image, class_="why")), class_="panels"),
                ]
            ),
        ),
        ("trials", "Trials", _trials(found.trials)),
    ]
    facts = (("image", Path(found.view.image).name), ("model", found.view.model), ("method", heat.method))
    masthead = Masthead("where a number comes from", heat.target, f"{heat.logit:.6g}", facts, "What was explained")
    return document(masthead, sections, LOOKS)


def map_picture(found: MapExplanation) -> UInt8[ndarray, "h w 3"]:
    """The map on what the network sees: a layer's cells with contours, else squares."""
    draw = heat_picture if found.heat.layer else square_picture
    return draw(found.view.pixels, found.heat.coarse.numpy())


def _badge(badge: str) -> Markup:
    return tag("p", tag("span", badge, class_="badge"), " ", tag("span", READ[badge], class_="note"), class_="badged")


def _sum(found: Explanation) -> Markup:
    account = found.account
    terms = [("number", account.logit), ("pixels", account.input_contribution), ("biases", account.bias_contribution)]
    terms += [("place of the cell", account.constant)] if account.constant else []
    rows = (tag("div", tag("dt", name), tag("dd", data(value), class_="value")) for name, value in terms)
    drawn = tag("div", Markup(account_figure(account, found.pixels)), class_="why")
    note = "Squares of the network's view, each the exact sum of its pixels: orange for, blue against. "
    note += "Point at one to read it."
    equation = f"Σ {account.sum:.9g} · network {account.logit:.9g} · Δ {account.residual:+.1e}"
    picture = tag("div", figure("pixels", "What every pixel gives", note, drawn), class_="panels")
    return join([tag("dl", *rows, class_="figures"), tag("p", equation, class_="sum"), _badge(account.badge), picture])


def _boxes(found: Explanation) -> Markup:
    if found.candidates is None:
        return Markup("")
    candidates = found.candidates
    note = "Before suppression. A box is kept unless it meets a surer one of its class by an IoU above "
    note += f"{candidates.overlap:g}, and said from a score of {candidates.threshold:.3g} on."
    drawn = tag("div", Markup(boxes_svg(candidates, found.view.photo)), class_="why")
    picture = figure("candidates", "Orange: kept. Blue, dashed: suppressed", note, drawn)
    panels = [_candidate_table(candidates), *_truth_tables(candidates)]
    parts = (draw_panel(panel, f"b{at}") for at, panel in enumerate(panels))
    return tag("div", picture, *parts, class_="panels")


def _candidate_table(candidates: Candidates) -> Table:
    terms = tuple(candidates.loss or ())
    columns = ("", "class", "score", "raw", "stride", "cell", "fate", "IoU", *(("learns", *terms) if terms else ()))
    rows = tuple(
        (*_candidate_row(at, row), *(_lesson_row(row.lesson, terms) if terms else ()))
        for at, row in enumerate(candidates.rows[:ROWS])
    )
    note = f"The surest {ROWS} of {len(candidates.rows)}." if len(candidates.rows) > ROWS else ""
    return Table("Candidates", columns, rows, note)


def _candidate_row(at: int, row: Candidate) -> tuple[Cell, ...]:
    fate = row.fate if row.by is None else f"suppressed by #{row.by}"
    stride, cell = ("", "") if row.place is None else (f"{row.place.stride:g}", row.place.cell)
    return (f"#{at}", row.label, row.score, row.raw, stride, cell, fate, row.overlap)


def _lesson_row(lesson: Lesson | None, terms: Sequence[str]) -> tuple[Cell, ...]:
    if lesson is None:
        return ("", *(None for _ in terms))
    what = "background" if lesson.object < 0 else f"object {lesson.object} at {lesson.share:.3f}"
    return (what, *(lesson.terms.get(name) for name in terms))


def _truth_tables(candidates: Candidates) -> list[Table]:
    if candidates.loss is None:
        return []
    objects = tuple(
        (at, one.label, ", ".join(f"#{learner}" for learner in one.learners) or "none listed")
        for at, one in enumerate(candidates.objects)
    )
    terms = tuple(candidates.loss.items())
    return [
        Table("Objects that are there", ("object", "class", "learnt by candidates"), objects),
        Table("Terms of the loss of this photo", ("term", "value"), terms),
    ]


def _streams(found: Explanation) -> Markup:
    streams = found.streams
    if streams is None:
        return Markup("")
    shown = [(one.name, one.plane) for one in streams.streams] + [("sum", streams.plane)]
    views = tuple((name, heat_picture(found.pixels, plane.numpy())) for name, plane in shown)
    picture = Picture(views, streams.target, Path(found.view.image).name)
    gallery = Gallery("What each level adds at every pixel", (picture,), "Each map has a scale of its own.")
    parts = tag("div", draw_panel(gallery, "levels"), class_="panels")
    return join([tag("p", streams.text(), class_="sum"), _badge(streams.badge), parts])


def _layers(layers: Layers, pixels: UInt8[ndarray, "h w c"]) -> Markup:
    rows = tuple(
        (
            one.step.name,
            "x".join(map(str, one.step.shape)),
            *(one.through, one.around, one.biases, one.residual),
            _listed(f"{at}: {value:+.3g}" for at, value in one.greatest_channels(3)),
            _listed(f"{y},{x}: {value:+.3g}" for y, x, value in one.greatest_places(2)),
        )
        for one in layers.layers
    )
    columns = (
        "layer",
        "output",
        "through it",
        "around it",
        "biases behind",
        "residual",
        "channels",
        "places (row, column)",
    )
    note = "In every row, through + around + biases is the number: activations times gradients, with the pattern fixed."
    table = draw_panel(Table("What passes where", columns, rows, note), "cuts")
    maps = [
        one
        for one in layers.layers
        if one.places is not None and min(one.places.shape) > 1 and one.step.kind != "input"
    ]
    chosen = [maps[round(at)] for at in np.linspace(0, len(maps) - 1, min(MAPS, len(maps)))]
    gallery = Gallery(
        "Where it passes", tuple(_layer_picture(one, pixels) for one in chosen), "Each map has a scale of its own."
    )
    return tag("div", table, draw_panel(gallery, "maps"), class_="panels")


def _listed(parts: Iterable[str]) -> str:
    """One after the other, each unbroken, with a true minus."""
    return ",  ".join(part.replace(" ", NO_BREAK).replace("-", MINUS) for part in parts)


def _layer_picture(layer: Layer, pixels: UInt8[ndarray, "h w c"]) -> Picture:
    places = layer.places
    cells = np.zeros((1, 1)) if places is None else places.numpy()
    name = f"{layer.step.name}, {cells.shape[0]} x {cells.shape[1]}"
    drawn = Image.fromarray(square_picture(pixels, cells))
    drawn.thumbnail((SMALL, SMALL))
    return Picture(((layer.step.name, np.array(drawn)),), f"{layer.through:+.4g} through it", name)


def _shares(account: Account) -> Table:
    rows = tuple((share.name, share.kind, share.contribution) for share in account.biases)
    return Table("What the biases of each layer give", ("layer", "kind", "contribution"), rows)


def _trials(trials: Trials) -> Markup:
    steps = tuple(at / (len(trials.deletion) - 1) for at in range(len(trials.deletion)))
    curves = [
        Curve(
            title,
            "share of the squares",
            "share of the number",
            (("by the map", steps, own), ("at random", steps, random)),
            note,
        )
        for title, own, random, note in (
            (
                "Deletion",
                trials.deletion,
                trials.random_deletion,
                "Covered in the order of the map: the lower the better.",
            ),
            (
                "Insertion",
                trials.insertion,
                trials.random_insertion,
                "Shown in the order of the map: the higher the better.",
            ),
        )
    ]
    areas = Table(
        "Areas under the curves",
        ("curve", "area"),
        tuple((name.replace("_", " "), value) for name, value in trials.areas.items()),
    )
    note = "Spearman's rank correlation of the map and that of weights drawn anew: near 0 where the map is one of the "
    note += "network, near 1 where it is one of the image alone."
    drawn = Table("Weights drawn anew", ("of", "rank correlation"), trials.randomised, note)
    parts = [
        *(draw_curve(curve, f"c{at}") for at, curve in enumerate(curves)),
        draw_panel(areas, "areas"),
        draw_panel(drawn, "redrawn"),
    ]
    return tag("div", *parts, class_="panels")
