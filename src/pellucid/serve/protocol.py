"""Tensors of the Open Inference Protocol v2 (KServe, Triton): in JSON, or behind it as raw bytes.

A request has one input, `images`, UINT8 N H W 3; outputs are what an exported file gives for them. Raw tensors are
little-endian, in the order in which JSON names them; the header Inference-Header-Content-Length says where JSON ends.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from pellucid.predictions.base import AbstractPostprocess, AbstractPrediction
from pellucid.serve.limits import Limits, Refused

__all__ = ["DATATYPES", "INPUT", "Infer", "answered", "outputs_of", "read_infer", "stacked"]

INPUT = "images"
DATATYPES = {"float32": "FP32", "int64": "INT64", "uint8": "UINT8"}


@dataclass(frozen=True, slots=True, eq=False)
class Infer:
    """A request: photos, the outputs wanted (all where there are none), and which of them as raw bytes."""

    id: str
    images: UInt8[ndarray, "n h w 3"]
    outputs: tuple[str, ...]
    raw: frozenset[str]
    all_raw: bool


def read_infer(body: bytes, json_length: str | None, limits: Limits) -> Infer:
    """The request of a body; refused with 400 where it is not one, with 413 where it asks for too much."""
    told, raw = _parts(body, json_length)
    values = _json(told)
    outputs = _objects(values, "outputs")
    names = tuple(str(_named(output)) for output in outputs)
    if len(set(names)) != len(names):
        raise Refused(400, "An output is asked for twice.")
    binary = frozenset(name for name, one in zip(names, outputs, strict=True) if _flag(one, "binary_data"))
    every = _flag(values, "binary_data_output")
    return Infer(str(values.get("id", "")), _images(values, raw, limits), names, binary, every)


def _parts(body: bytes, json_length: str | None) -> tuple[bytes, bytes]:
    if json_length is None:
        return body, b""
    if not json_length.isdecimal() or not 0 < int(json_length) <= len(body):
        raise Refused(400, f"Inference-Header-Content-Length is {json_length!r}; the body has {len(body)} bytes.")
    return body[: int(json_length)], body[int(json_length) :]


def _json(text: bytes) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"The body is not JSON: {error}.") from error
    if not isinstance(values, dict):
        raise Refused(400, f"The body is a JSON {type(values).__name__}; it must be an object with `inputs`.")
    return values


def _objects(values: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = values.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Refused(400, f"`{name}` must be a list of objects.")
    return found


def _named(tensor: Mapping[str, Any]) -> str:
    name = tensor.get("name")
    if not isinstance(name, str):
        raise Refused(400, "Every input and output has a `name`.")
    return name


def _flag(owner: Mapping[str, Any], name: str) -> bool:
    parameters = owner.get("parameters") or {}
    return isinstance(parameters, dict) and parameters.get(name) is True


def _images(values: Mapping[str, Any], raw: bytes, limits: Limits) -> UInt8[ndarray, "n h w 3"]:
    inputs = _objects(values, "inputs")
    if len(inputs) != 1 or _named(inputs[0]) != INPUT:
        raise Refused(400, f"There is one input, `{INPUT}`; the request has {[_named(one) for one in inputs]}.")
    one = inputs[0]
    if one.get("datatype") != "UINT8":
        raise Refused(400, f"`{INPUT}` has datatype {one.get('datatype')!r}; it must be UINT8, values from 0 to 255.")
    shape = _shape(one.get("shape"), limits)
    parameters = one.get("parameters") or {}
    if isinstance(parameters, dict) and "binary_data_size" in parameters:
        return _from_bytes(raw, parameters["binary_data_size"], shape)
    return _from_list(one.get("data"), shape)


def _shape(shape: Any, limits: Limits) -> tuple[int, int, int, int]:
    whole = isinstance(shape, list) and all(type(side) is int for side in shape)
    if not whole or len(shape) != 4 or min(shape) < 1 or shape[3] != 3:
        raise Refused(400, f"`{INPUT}` has shape {shape}; it must be [N, H, W, 3].")
    if shape[0] > limits.photos:
        raise Refused(413, f"`{INPUT}` has {shape[0]:,} photos; this service takes {limits.photos:,} at once.")
    if math.prod(shape[:3]) > limits.pixels:
        raise Refused(413, f"`{INPUT}` has {math.prod(shape[:3]):,} pixels; this service takes {limits.pixels:,}.")
    return (shape[0], shape[1], shape[2], shape[3])


def _from_bytes(raw: bytes, told: Any, shape: tuple[int, ...]) -> ndarray:
    if type(told) is not int or not told == len(raw) == math.prod(shape):
        raise Refused(400, f"{len(raw)} raw bytes, {told} told, {math.prod(shape)} in shape {list(shape)}.")
    return np.frombuffer(raw, np.uint8).reshape(shape)


def _from_list(data: Any, shape: tuple[int, ...]) -> ndarray:
    """Nested or flat lists of whole numbers from 0 to 255."""
    if not isinstance(data, list):
        raise Refused(400, f"`{INPUT}` has neither `data` nor raw bytes.")
    try:
        values = np.array(data)
    except ValueError as error:  # lists of different lengths
        raise Refused(400, f"The data of `{INPUT}` are no tensor: {error}.") from error
    if values.size != math.prod(shape) or values.dtype.kind != "i" or values.min() < 0 or values.max() > 255:
        raise Refused(
            400, f"The data of `{INPUT}` must be {math.prod(shape)} whole numbers from 0 to 255, as {list(shape)}."
        )
    return values.astype(np.uint8).reshape(shape)


def answered(model: str, infer: Infer, outputs: Mapping[str, ndarray]) -> tuple[bytes, int | None]:
    """The body of the answer, and where its JSON ends if raw bytes follow."""
    chosen = infer.outputs or tuple(outputs)
    for name in chosen:
        if name not in outputs:
            raise Refused(400, f"There is no output {name!r}; there are {', '.join(outputs)}.")
    described, raw = [], []
    for name in chosen:
        values = np.ascontiguousarray(outputs[name])
        one: dict[str, Any] = {"name": name, "shape": list(values.shape), "datatype": DATATYPES[values.dtype.name]}
        if infer.all_raw or name in infer.raw:
            raw.append(values.tobytes())
            one["parameters"] = {"binary_data_size": values.nbytes}
        else:
            one["data"] = values.reshape(-1).tolist()
        described.append(one)
    head = {"model_name": model, "model_version": "1", "outputs": described}
    text = json.dumps(head | ({"id": infer.id} if infer.id else {})).encode()
    return text + b"".join(raw), len(text) if raw else None


def outputs_of(postprocess: AbstractPostprocess) -> list[dict[str, Any]]:
    """Name, datatype and shape of what `stacked` gives for a task's predictions."""
    return [dict(one) for one in postprocess.tensors]


def stacked(found: Sequence[AbstractPrediction]) -> dict[str, ndarray]:
    """The tensors of several predictions, one behind the other; shorter ones are filled up.

    Rows of boxes differ in number: `count` says how many there are, behind them scores are 0 and labels -1.
    """
    rows = [one.arrays() for one in found]
    joined = {name: _filled([row[name] for row in rows], -1 if name == "labels" else 0) for name in rows[0]}
    if "xyxy" in joined:
        joined["count"] = np.array([len(row["xyxy"]) for row in rows], np.int64)
    return joined


def _filled(arrays: Sequence[ndarray], value: int) -> ndarray:
    shape = np.max([one.shape for one in arrays], axis=0)
    joined = np.full((len(arrays), *shape), value, arrays[0].dtype)
    for place, one in enumerate(arrays):
        inside: tuple[Any, ...] = (place, *map(slice, one.shape))
        joined[inside] = one
    return joined
