"""The roofline of this machine and all operations: FLOPs a byte across, GFLOP/s up, both by their logarithm."""

from pellucid.inspection.costs import Costs, intensity
from pellucid.inspection.recording import Operation
from pellucid.report.charts import Axis, axis_over
from pellucid.report.markup import Markup, tag
from pellucid.report.numerals import number
from pellucid.studio.address import Address

__all__ = ["roofline_chart", "roofline_points"]

WIDTH, HEIGHT = 440, 280
LEFT, RIGHT, TOP, BOTTOM = 56, 18, 26, 40
GIGA = 1e9

Point = tuple[Operation, float, float]


def roofline_points(found: Costs) -> list[Point]:
    """(operation, FLOPs a byte, GFLOP/s that it reached) of all that multiply and were timed."""
    points: list[Point] = []
    for one in found.trace.operations[1:]:
        timing = None if found.measured is None else found.measured.operations.get(one.name)
        ratio = intensity(one)
        if timing is not None and timing.measured and one.macs and ratio:
            points.append((one, ratio, 2 * one.macs / timing.measured / GIGA))
    return points


def roofline_chart(found: Costs, address: Address) -> Markup:
    """The drawing; a point leads to its operation. Without a measurement there is nothing to draw."""
    assert found.measured is not None
    machine, points = found.measured.machine, roofline_points(found)
    peak = machine.peak / GIGA
    across = axis_over([ratio for _, ratio, _ in points] + [machine.ridge * 4], LEFT, WIDTH - RIGHT, log=True)
    up = axis_over([reached for _, _, reached in points] + [peak], HEIGHT - BOTTOM, TOP, log=True)
    corners = [(across.low, across.low * machine.bandwidth / GIGA), (machine.ridge, peak), (across.high, peak)]
    roof = " ".join(f"{across.at(x):.1f},{up.at(max(y, up.low)):.1f}" for x, y in corners)
    marks = (_mark(one, across.at(ratio), up.at(reached), reached, address) for one, ratio, reached in points)
    said = f"{len(points)} operations below a roof of {number(peak)} GFLOP/s, ridge at {number(machine.ridge)}"
    drawn = (*_axes(across, up), tag("polyline", points=roof, class_="roof"), *marks)
    svg = tag("svg", *drawn, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="group", aria_label=said)
    return tag("div", svg, class_="chart")


def _mark(one: Operation, x: float, y: float, reached: float, address: Address) -> Markup:
    title = tag("title", f"{one.name}: {number(reached)} GFLOP/s")
    dot = tag("circle", title, cx=f"{x:.1f}", cy=f"{y:.1f}", r=4, class_="dot")
    return tag(
        "a", dot, href=address.href("/network", op=one.name), aria_label=f"{one.name}, {number(reached)} GFLOP/s"
    )


def _axes(across: Axis, up: Axis) -> list[Markup]:
    floor, parts = HEIGHT - BOTTOM, []
    for tick in up.ticks():
        y = f"{up.at(tick):.1f}"
        parts.append(tag("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y))
        parts.append(tag("text", f"{tick:g}", x=LEFT - 7, y=y, dy="0.35em", text_anchor="end"))
    parts += [
        tag("text", f"{tick:g}", x=f"{across.at(tick):.1f}", y=floor + 16, text_anchor="middle")
        for tick in across.ticks()
    ]
    parts.append(tag("line", class_="base", x1=LEFT, x2=WIDTH - RIGHT, y1=floor, y2=floor))
    parts.append(tag("text", "GFLOP/s", x=LEFT, y=TOP - 12))
    parts.append(tag("text", "FLOPs a byte", x=WIDTH - RIGHT, y=HEIGHT - 4, text_anchor="end"))
    return parts
