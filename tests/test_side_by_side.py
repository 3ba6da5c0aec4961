"""Results in order, however long each takes, and never many begun that nobody took."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pellucid.side_by_side import side_by_side


@pytest.mark.parametrize("ahead", [0, 1, 3, 20])
def test_results_are_in_order_and_few_wait(ahead):
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        time.sleep(0.002 * (item % 3 == 0))  # some are overtaken
        return item * item

    with ThreadPoolExecutor(4) as pool:
        for taken, result in enumerate(side_by_side(pool, work, range(12), ahead)):
            assert result == taken * taken
            assert len(begun) <= taken + 1 + ahead
    assert sorted(begun) == list(range(12))


def test_an_error_comes_where_its_item_stands():
    with ThreadPoolExecutor(2) as pool:
        results = side_by_side(pool, lambda item: 12 // item, [3, 2, 0, 1], 3)
        assert [next(results), next(results)] == [4, 6]
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_nothing_is_nothing():
    with ThreadPoolExecutor(1) as pool:
        assert list(side_by_side(pool, str, [], 2)) == []
