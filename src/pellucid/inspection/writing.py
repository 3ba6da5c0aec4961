"""Explanations as files, by the ending of their names."""

import base64
import io
import json
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from pellucid.drawing import legend
from pellucid.errors import UsageError
from pellucid.files import write_atomic
from pellucid.image import write_image
from pellucid.inspection.explaining import Explanation, MapExplanation
from pellucid.inspection.heat import ABOVE, BELOW
from pellucid.inspection.page import explanation_page, map_page, map_picture
from pellucid.inspection.picture import account_png, account_svg, drawing

__all__ = ["write_explanation"]


def write_explanation(path: Path, found: Explanation | MapExplanation) -> None:
    """A .html page, a picture as .png or .svg, or the values as .json."""
    match path.suffix.lower(), found:
        case ".html", Explanation():
            write_atomic(path, explanation_page(found))
        case ".html", MapExplanation():
            write_atomic(path, map_page(found))
        case ".png", Explanation():
            write_image(path, account_png(found.account, found.pixels))
        case ".png", MapExplanation():
            write_image(path, _map_png(found))
        case ".svg", Explanation():
            write_atomic(path, account_svg(found.account, found.pixels))
        case ".svg", MapExplanation():
            write_atomic(path, _map_svg(found))
        case ".json", _:
            write_atomic(path, json.dumps(found.to_json(), ensure_ascii=False) + "\n")
        case _:
            raise UsageError(f"--out {path}: explanations are written as .html, .png, .svg or .json. Name it so.")


def _map_png(found: MapExplanation) -> UInt8[ndarray, "h w 3"]:
    heat = found.heat
    entries = [(heat.summary(), ABOVE), (f"up to {max(0.0, float(heat.coarse.max())):+.4g}", ABOVE)]
    entries += [(f"and down to {min(0.0, float(heat.coarse.min())):+.4g}", BELOW)]
    return legend(map_picture(found), [(text, color.astype(np.uint8)) for text, color in entries])


def _map_svg(found: MapExplanation) -> str:
    picture = _map_png(found)
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG", optimize=True)
    height, width = picture.shape[:2]
    uri = f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
    return drawing((width, height), found.heat.summary(), [f'<image width="{width}" height="{height}" href="{uri}"/>'])
