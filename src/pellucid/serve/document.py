"""The OpenAPI document of a service."""

from collections.abc import Mapping
from typing import Any

from pellucid import __version__
from pellucid.serve.limits import Limits

__all__ = ["document"]

TEXT = {"type": "string"}
ERROR = {"type": "object", "required": ["error"], "properties": {"error": TEXT}}
TENSOR: dict[str, Any] = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": TEXT,
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"type": "string", "enum": ["UINT8", "FP32", "INT64"]},
        "data": {"type": "array"},
        "parameters": {"type": "object"},
    },
}
SIDE = {"type": "integer", "minimum": 1}
INPUT = TENSOR | {
    "properties": TENSOR["properties"]
    | {
        "name": {"const": "images"},
        "datatype": {"const": "UINT8"},
        "shape": {"type": "array", "prefixItems": [SIDE, SIDE, SIDE, {"const": 3}], "minItems": 4, "maxItems": 4},
    }
}
REFUSALS = {
    400: "not what this route takes",
    401: "no token, or another",
    404: "no such model",
    408: "the body came too slowly",
    413: "too many bytes, photos or pixels",
    422: "no image that can be read",
    429: "too many requests at once",
    503: "no answer in time, or about to stop",
}
IMAGES = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff", "application/octet-stream")


def document(name: str, limits: Limits, *, locked: bool) -> dict[str, Any]:
    """What each route takes and gives; `locked` says whether a token is asked for."""
    model = f"/v2/models/{name}"
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": f"pellucid: {name}", "version": __version__, "description": _limits_said(limits)},
        "paths": {
            "/predict": {"post": _predict()},
            "/v2": {"get": _get("Metadata of the server", locked)},
            "/v2/health/live": {"get": _get("Whether the process answers", locked=False)},
            "/v2/health/ready": {"get": _get("Whether requests should come here", locked=False, more=(503,))},
            model: {"get": _get("Metadata of the model", locked)},
            f"{model}/ready": {"get": _get("Whether the model answers", locked, more=(503,))},
            f"{model}/infer": {"post": _infer()},
            "/selfcheck": {"get": _get("The self-test of the file", locked, more=(503,))},
            "/metrics": {"get": _get("Figures for Prometheus", locked, media="text/plain")},
            "/openapi.json": {"get": _get("This document", locked=False)},
        },
    }
    if locked:
        found["components"] = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
        found["security"] = [{"token": []}]
    return found


def _limits_said(limits: Limits) -> str:
    return (
        f"Bodies of at most {limits.body:,} bytes, at most {limits.photos} photos of {limits.pixels:,} pixels in all, "
        f"{limits.queue} requests at once, {limits.seconds:g} seconds for each."
    )


def _refusals(*statuses: int) -> dict[str, Any]:
    content = {"application/json": {"schema": ERROR}}
    return {str(status): {"description": REFUSALS[status], "content": content} for status in statuses}


def _answer(description: str, schema: Mapping[str, Any], media: str = "application/json") -> dict[str, Any]:
    return {"200": {"description": description, "content": {media: {"schema": schema}}}}


def _get(summary: str, locked: bool, *, more: tuple[int, ...] = (), media: str = "application/json") -> dict[str, Any]:
    kind = {"type": "object"} if media == "application/json" else TEXT
    responses = _answer(summary, kind, media)
    for status in more:  # of the same shape as where all is well
        responses[str(status)] = {"description": REFUSALS[status], "content": {media: {"schema": kind}}}
    found: dict[str, Any] = {"summary": summary, "responses": responses | (_refusals(401) if locked else {})}
    return found if locked else found | {"security": []}


def _predict() -> dict[str, Any]:
    photo = {"type": "string", "format": "binary"}
    schema = {
        "type": "object",
        "required": ["model", "prediction"],
        "properties": {"model": TEXT, "prediction": {"type": "object"}},
    }
    return {
        "summary": "What the model says of a photo: an image file as the body",
        "requestBody": {"required": True, "content": {media: {"schema": photo} for media in IMAGES}},
        "responses": _answer("The prediction", schema) | _refusals(401, 408, 413, 422, 429, 503),
    }


def _infer() -> dict[str, Any]:
    request = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": TEXT,
            "inputs": {"type": "array", "items": INPUT, "minItems": 1, "maxItems": 1},
            "outputs": {
                "type": "array",
                "items": {"type": "object", "required": ["name"], "properties": {"name": TEXT}},
            },
            "parameters": {"type": "object"},
        },
    }
    answer = {
        "type": "object",
        "required": ["model_name", "outputs"],
        "properties": {"model_name": TEXT, "id": TEXT, "outputs": {"type": "array", "items": TENSOR}},
    }
    return {
        "summary": "Tensors for a tensor of photos, `images`, UINT8 N H W 3 (Open Inference Protocol v2)",
        "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
        "responses": _answer("The tensors", answer) | _refusals(400, 401, 408, 413, 429, 503),
    }
