"""What takes a while: made once, said to be on its way, and its errors told to whoever asks."""

import threading

import pytest

from pellucid.errors import UsageError
from pellucid.studio.memo import Memo, NotYetError


def test_a_value_is_made_once_and_waited_for():
    memo, go, made = Memo(4), threading.Event(), []

    def make() -> str:
        go.wait(10)
        made.append(1)
        return "done"

    with pytest.raises(NotYetError):
        memo.get("key", make, 0.01)
    go.set()
    assert memo.get("key", make, 10) == "done"
    assert memo.get("key", make, 10) == "done"
    assert made == [1]


def test_an_error_is_that_of_the_maker():
    def make() -> None:
        raise UsageError("no such thing")

    memo = Memo(4)
    for _ in range(2):
        with pytest.raises(UsageError, match="no such thing"):
            memo.get("key", make, 10)


def test_the_latest_are_kept():
    memo, made = Memo(2), []
    for key in "abac":
        memo.get(key, lambda key=key: made.append(key), 10)
    memo.get("a", lambda: made.append("a"), 10)
    memo.get("b", lambda: made.append("b"), 10)
    assert made == ["a", "b", "c", "b"]
