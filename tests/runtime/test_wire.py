"""An ONNX file is read field by field as protocol buffers have it, and nonsense ends in an error."""

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import ModelError
from pellucid.runtime.wire import fields, message


def test_fields_are_those_of_the_library():
    model = onnx.helper.make_model(onnx.helper.make_graph([], "a graph", [], []), producer_name="x" * 300)
    data = model.SerializeToString()
    found = {field.number: field.content for field in fields(memoryview(data))}
    assert found[1] == model.ir_version
    assert bytes(found[2]) == b"x" * 300
    assert bytes(found[7]) == model.graph.SerializeToString()


@given(st.integers(1, 500), st.binary(max_size=400), st.binary(max_size=40))
def test_a_written_field_is_read_again(number, content, after):
    data = message(number, content) + message(7, after)
    first, second = fields(memoryview(data))
    assert (first.number, bytes(first.content), first.start) == (number, content, 0)
    assert (second.number, bytes(second.content)) == (7, after)
    assert data[: second.start] == message(number, content)


@given(st.binary(max_size=60))
def test_any_bytes_end(data):
    try:
        found = list(fields(memoryview(data)))
    except ModelError:
        return
    assert all(field.number > 0 for field in found)


@pytest.mark.parametrize("data", [b"\x0a", b"\x0a\x05abc", b"\xff" * 11, b"\x0b", b"\x02\x00"])
def test_what_is_no_message_is_refused(data):
    with pytest.raises(ModelError):
        list(fields(memoryview(data)))
