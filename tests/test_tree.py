"""The tree that docs/architecture.md draws is the tree that stands, in both directions."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "pellucid"
DRAWN = (ROOT / "docs" / "architecture.md").read_text().partition("```\n")[2].partition("```")[0]
NAME = re.compile(r"(?<![\w.*])([a-z_]\w*(?:\.py|/))")


def drawn_places() -> set[str]:
    """Every file and folder of the drawing as a path under src/pellucid.

    A line that begins with a folder holds names inside that folder, and so do the lines indented below it.
    """
    places, folder = set(), ""
    for line in DRAWN.splitlines()[1:]:
        names = NAME.findall(_without_remarks(line))
        if line.startswith("  ") and not line.startswith("   "):
            folder = names.pop(0) if names and names[0].endswith("/") else ""
            places |= {folder} if folder else set()
        places |= {folder + name for name in names}
    return places


def _without_remarks(line: str) -> str:
    return re.sub(r"\([^)]*\)", "", line)


def test_every_name_in_the_drawing_exists():
    places = drawn_places()
    assert len(places) > 15
    assert not {place for place in places if not (SOURCE / place).exists()}


def test_every_module_and_room_is_in_the_drawing():
    drawn = {place.partition("/")[0] for place in drawn_places()}
    there = {path.name for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert not there - drawn
