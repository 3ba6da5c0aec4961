"""XML files as small trees that know their lines; without document types, so that no entity is declared or expanded."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

__all__ = ["Element", "XmlTrouble", "read_xml"]

MOST_BYTES = 16_000_000  # of one image's labels
MOST_DEPTH = 32


@dataclass
class Element:
    """A tag, the line where it begins, the text directly in it, and the elements in it."""

    name: str
    line: int
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def all(self, name: str) -> Iterator["Element"]:
        """The elements of a name directly in it."""
        return (child for child in self.children if child.name == name)

    def find(self, name: str) -> "Element | None":
        """The first of them."""
        return next(self.all(name), None)

    def said(self, name: str) -> str:
        """The text in the first of them; nothing where there is none."""
        found = self.find(name)
        return found.text.strip() if found else ""


@dataclass
class XmlTrouble(Exception):  # noqa: N818  (it is caught by the reader and becomes a refusal)
    """What is wrong with a file, and in which line."""

    reason: str
    line: int = 1


def read_xml(path: Path) -> Element:
    """The outermost element of a file; XmlTrouble where it cannot be read."""
    top = Element("", 0)
    parser = _parser([top])
    try:
        raw = path.read_bytes()
        if len(raw) > MOST_BYTES:
            raise XmlTrouble(f"it has {len(raw):,} bytes, and the labels of an image have {MOST_BYTES:,} at most")
        parser.Parse(raw, True)
    except expat.ExpatError as error:
        raise XmlTrouble(f"it is no intact XML: {expat.errors.messages[error.code]}", error.lineno) from error
    except (OSError, LookupError, ValueError) as error:  # an encoding that is unknown, or has more bytes a sign
        raise XmlTrouble(f"it cannot be read: {error}") from error
    return top.children[0]


def _parser(stack: list[Element]) -> expat.XMLParserType:
    """A parser that hangs what it reads below the last element of the stack."""
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def start(name: str, _: dict[str, str]) -> None:
        if len(stack) > MOST_DEPTH:
            raise XmlTrouble(f"its elements lie more than {MOST_DEPTH} deep", parser.CurrentLineNumber)
        element = Element(name, parser.CurrentLineNumber)
        stack[-1].children.append(element)
        stack.append(element)

    def text(data: str) -> None:
        stack[-1].text += data

    def doctype(*_: object) -> None:
        raise XmlTrouble("it has a document type (<!DOCTYPE …>), which is not read", parser.CurrentLineNumber)

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: stack.pop()
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    return parser
