"""Records of a split: a tuple, or made when they are asked for where there are too many to hold."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from pellucid.types import Record

__all__ = ["AbstractRecords", "chosen", "classes_of", "relabelled"]


class AbstractRecords(Sequence[Record]):
    """Records that lie in a file and become values one by one."""

    __slots__ = ()

    @abstractmethod
    def at(self, place: int) -> Record:
        """The record at a place, counted from 0."""

    @abstractmethod
    def chosen(self, places: Int[ndarray, " n"]) -> "AbstractRecords":
        """Those at some places, in their order."""

    @abstractmethod
    def relabelled(self, relabel: Callable[[Any], Any]) -> "AbstractRecords":
        """These with every label put through `relabel`, which only renumbers classes."""

    @abstractmethod
    def digest(self) -> str:
        """SHA-256 of names, labels and the images' bytes, without a look at each of them."""

    @abstractmethod
    def seen(self) -> tuple[Int[ndarray, "n 2"], Int[ndarray, "n classes"]] | None:
        """(height, width) of the photos and the pixels of each class in their masks, where somebody decoded them all.

        The second has no column where there are no masks. None where it is not known.
        """

    @abstractmethod
    def classes(self) -> Int[ndarray, " n"]:
        """The labels, where each is the index of a class."""

    @overload
    def __getitem__(self, place: int) -> Record: ...

    @overload
    def __getitem__(self, place: slice) -> "AbstractRecords": ...

    def __getitem__(self, place: int | slice) -> "Record | AbstractRecords":
        if isinstance(place, slice):
            return self.chosen(np.arange(len(self))[place])
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        return self.at(place % len(self))


def chosen(records: Sequence[Record], places: Sequence[int]) -> Sequence[Record]:
    """The records at some places."""
    if isinstance(records, AbstractRecords):
        return records.chosen(np.asarray(places, np.int64))
    return tuple(records[place] for place in places)


def relabelled(records: Sequence[Record], relabel: Callable[[Any], Any]) -> Sequence[Record]:
    """The records with every label put through `relabel`."""
    if isinstance(records, AbstractRecords):
        return records.relabelled(relabel)
    return tuple(replace(record, label=relabel(record.label)) for record in records)


def classes_of(records: Sequence[Record]) -> Int[ndarray, " n"]:
    """The labels of images that have a class each."""
    if isinstance(records, AbstractRecords):
        return records.classes()
    return np.array([record.label for record in records], np.int64)
