"""`pellucid explain`: what every pixel and every bias gives to one number, or a heat map of it."""

from typing import Literal

__all__ = ["explain"]


def explain(
    model: str,
    image: str,
    *,
    target: str | None = None,
    versus: str | None = None,
    method: Literal["account", "grad-cam", "layer-cam", "occlusion", "integrated-gradients"] = "account",
    truth: str | None = None,
    out: str | None = None,
    json: bool = False,
) -> int:
    """What every pixel and every bias gives to one number of a network, adding up to it; or a heat map of it.

    Args:
        model: A model.safetensors.
        image: The photo.
        target: class:NAME, pixel:Y,X:NAME in the photo's pixels, or box:K, the K-th box found from 0 on (its score;
            box:K:left, top, right, bottom are its sides). Derived: what is predicted.
        versus: Explain what the logit is more than that of this class.
        method: The exact account, layer by layer, or a heat map with trials of it.
        truth: A dataset that says what is in the photo: of a detector, what every cell learns and loses.
        out: Write a page (.html), a picture (.png, .svg) or the values (.json).
        json: Print one JSON object.
    """
    from pathlib import Path

    from pellucid.errors import UsageError
    from pellucid.inspection.explaining import explain_file, map_file
    from pellucid.inspection.writing import write_explanation
    from pellucid.terminal import to_json

    if method != "account" and truth is not None:
        raise UsageError(f"--truth has no effect on a map of {method}. Leave it out, or take --method account.")
    found = (
        explain_file(model, image, target, versus, truth=truth)
        if method == "account"
        else map_file(model, image, target, versus, method=method)
    )
    if out is not None:
        write_explanation(Path(out), found)
    print(to_json(found.to_json()) if json else found.text())
    return 0
