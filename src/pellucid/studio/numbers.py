"""A number of the network on a page: the largest of its terms, each with a way on, and its arithmetic."""

from collections.abc import Callable

from pellucid.errors import UsageError
from pellucid.inspection.terms_of import Explained, explain
from pellucid.ops.terms.value import Term
from pellucid.report.markup import Markup, join, tag
from pellucid.report.numerals import data, number
from pellucid.studio.drawing import badge, counted, signed_rows
from pellucid.studio.hops import Hop, owners
from pellucid.studio.session import Look
from pellucid.studio.window import arithmetic_address

__all__ = ["number_terms"]

SHOWN = 8

Way = Callable[[Hop], str]


def number_terms(look: Look, hop: Hop, way: Way) -> Markup:
    """Its sum and check, the largest terms with links that `way` makes, and the link to its arithmetic."""
    if hop.name == look.trace.operations[0].name:
        value = float(look.trace.operations[0].output[(0, *hop.at)])
        return tag("p", "A number of the image as the network is given it: ", data(value), ".")
    try:
        found = explain(look.trace, hop.name, hop.at)
    except UsageError as error:
        return tag("p", str(error), class_="note")
    opened = tag("a", "Open in Arithmetic", href=arithmetic_address(look.trace, hop, found), class_="button")
    return join([_sum(found), _table(look, found, way), tag("p", opened)])


def _sum(found: Explained) -> Markup:
    said = f" = Σ of {counted(len(found.terms), 'term')}" + (" and a bias" if found.terms.bias else "")
    check = f"Σ {number(found.terms.total)} · network {number(found.value)} · Δ {found.residual:+.1e} "
    return join([tag("p", data(found.value), said, class_="sum"), tag("p", check, badge(found.badge), class_="note")])


def _table(look: Look, found: Explained, way: Way) -> Markup:
    known = owners(look.trace)
    terms = sorted(found.largest(SHOWN), key=lambda term: -abs(term.coefficient * term.value))
    rows: list[tuple[object, float, object]] = [_row(term, known, way) for term in terms]
    rows += [("bias", found.terms.bias, "")] if found.terms.bias else []
    left = len(found.terms) - len(terms)
    more = tag("p", f"and {counted(left, 'smaller term')}", class_="note") if left else Markup("")
    return join([signed_rows("terms", ("of", "gives", "coefficient · value"), rows), more])


def _row(term: Term, known: frozenset[str], way: Way) -> tuple[object, float, object]:
    hop = Hop(term.source, term.index[1:])
    product = join([data(term.coefficient), " · ", data(term.value)])
    if term.source not in known:
        return term.source, term.coefficient * term.value, product
    return tag("a", hop.said, href=way(hop)), term.coefficient * term.value, product
