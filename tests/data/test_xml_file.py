"""XML as a tree with lines, and nothing that expands."""

import pytest

from pellucid.data.xml_file import MOST_BYTES, XmlTrouble, read_xml


def test_a_tree_knows_its_lines_and_texts(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<a>\n<b> x &lt; <![CDATA[y]]> </b>\n<c><b>deep</b></c>\n<b>2</b>\n</a>")
    top = read_xml(path)
    assert (top.name, top.line) == ("a", 1)
    assert [(child.name, child.line) for child in top.children] == [("b", 2), ("c", 3), ("b", 4)]
    assert top.said("b") == "x < y"
    assert [child.text for child in top.all("b")] == [" x < y ", "2"]
    assert top.find("none") is None
    assert top.said("none") == ""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_encodings_are_followed(tmp_path, encoding):
    path = tmp_path / "a.xml"
    path.write_bytes(f'<?xml version="1.0" encoding="{encoding}"?><a>é</a>'.encode(encoding))
    assert read_xml(path).text == "é"


def test_too_many_bytes_are_not_read(tmp_path):
    path = tmp_path / "a.xml"
    path.write_bytes(b"<a>" + b" " * MOST_BYTES + b"</a>")
    with pytest.raises(XmlTrouble) as error:
        read_xml(path)
    assert error.value.reason.startswith("it has 16,000,007 bytes")


def test_entities_are_neither_declared_nor_used(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text('<?xml version="1.0"?>\n<!DOCTYPE a [<!ENTITY b "x">]>\n<a>&b;</a>')
    with pytest.raises(XmlTrouble) as error:
        read_xml(path)
    assert (error.value.line, "document type" in error.value.reason) == (2, True)
    path.write_text("<a>\n&b;</a>")
    with pytest.raises(XmlTrouble) as error:
        read_xml(path)
    assert (error.value.line, error.value.reason) == (2, "it is no intact XML: undefined entity")
