"""What a run was made from: its images by split and class, and the ledger of all that was offered."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from pellucid.data.ledger import Ledger, Note, Refusal
from pellucid.report.markup import Markup, join, tag
from pellucid.report.numerals import count, share
from pellucid.report.summary import DataSummary
from pellucid.report.tables import facts, folded, table

__all__ = ["data_section", "ledger_section"]

MOST_FILES = 200  # files listed for one reason; ledger.jsonl in the run's folder has all of them


def data_section(summary: DataSummary) -> Markup:
    """Images by split, labels by class and split, and the facts of the dataset."""
    return tag(
        "div",
        tag("div", tag("h3", "Splits"), _splits(summary), _facts(summary.facts), class_="panel"),
        tag("div", tag("h3", "Classes"), _classes(summary), class_="panel"),
        class_="panels",
    )


def _splits(summary: DataSummary) -> Markup:
    total = sum(summary.images.values())
    rows = [(name, images, share(images, total)) for name, images in summary.images.items()]
    return table("Images by split", ("split", "images", "share"), [*rows, ("all", total, share(total, total))])


def _facts(values: Mapping[str, object]) -> Markup:
    return facts("Facts of the dataset", values) if values else Markup("")


def _classes(summary: DataSummary) -> Markup:
    splits = list(summary.labels)
    rows: list[tuple[str | int, ...]] = [
        (
            name,
            *(counts[index] for counts in summary.labels.values()),
            sum(c[index] for c in summary.labels.values()),
        )
        for index, name in enumerate(summary.classes)
    ]
    return folded("Labels by class and split", ("class", *splits, "all"), rows)


def ledger_section(ledger: Ledger) -> Markup:
    """How much of what was offered is used, and every refusal with its reason and cure."""
    parts = [_account(ledger), _balance(ledger)]
    if ledger.refused:
        parts.append(tag("h3", "Refused"))
        parts += [_refusals(group) for group in _by_reason(ledger.refused)]
    if ledger.notes:
        parts += [tag("h3", "Used, with a note"), _notes(ledger.notes)]
    return tag("div", *parts, class_="panel wide")


def _account(ledger: Ledger) -> Markup:
    images = sum(ledger.used.values())
    used, refused = len(ledger.used), len(ledger.refused)
    sentence = (
        f"{count(ledger.offered)} files and labels were offered. {count(used)} {_verb(used)} used and gave "
        f"{count(images)} images or labels; {count(refused)} {_verb(refused)} refused."
    )
    return tag("p", sentence)


def _verb(number: int) -> str:
    return "is" if number == 1 else "are"


def _balance(ledger: Ledger) -> Markup:
    """Used and refused as one strip; nothing to draw where nothing was offered."""
    if not ledger.offered:
        return Markup("")
    used = 100 * len(ledger.used) / ledger.offered
    # One refusal in a million must still be seen.
    used = min(used, 99.3) if ledger.refused else used
    kept = tag("rect", class_="fill", x=0, y=3, width=f"{used:.2f}", height=8)
    lost = tag("rect", class_="lost", x=f"{used:.2f}", y=3, width=f"{100 - used:.2f}", height=8)
    drawn = [kept, lost if ledger.refused else Markup("")]
    return tag("svg", *drawn, class_="strip", viewBox="0 0 100 14", preserveAspectRatio="none", aria_hidden="true")


def _by_reason(refusals: Sequence[Refusal]) -> list[list[Refusal]]:
    """Refusals of one reason and cure together, the most frequent first."""
    ordered = sorted(refusals, key=lambda refusal: (refusal.reason, refusal.cure))
    groups = [list(group) for _, group in groupby(ordered, key=lambda refusal: (refusal.reason, refusal.cure))]
    return sorted(groups, key=len, reverse=True)


def _refusals(group: Sequence[Refusal]) -> Markup:
    reason = tag("summary", tag("b", count(len(group))), " ", tag("bdi", group[0].reason))
    cure = tag("p", "Cure: ", tag("bdi", group[0].cure), class_="note")
    return tag("details", reason, cure, _listed([_place(refusal) for refusal in group]), open=len(group) <= 5)


def _place(refusal: Refusal) -> Markup:
    where = refusal.file if refusal.line is None else f"{refusal.file}:{refusal.line}"
    value = Markup("") if refusal.value is None else tag("bdi", refusal.value, class_="value")
    return tag("li", tag("bdi", where), " ", value)


def _notes(notes: Sequence[Note]) -> Markup:
    """Notes of the same text together."""
    by_text: dict[str, list[str]] = {}
    for note in notes:
        by_text.setdefault(note.text, []).append(note.file)
    return join(
        tag(
            "details",
            tag("summary", tag("b", count(len(names))), " ", tag("bdi", text)),
            _listed([tag("li", tag("bdi", name)) for name in names]),
        )
        for text, names in by_text.items()
    )


def _listed(items: Sequence[Markup]) -> Markup:
    rest = len(items) - MOST_FILES
    more = tag("li", f"and {count(rest)} more, all of them in ledger.jsonl", class_="note") if rest > 0 else Markup("")
    return tag("ul", *items[:MOST_FILES], more, class_="files")
