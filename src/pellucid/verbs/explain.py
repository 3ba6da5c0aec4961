"""`pellucid explain`: what every pixel and every bias gives to one number."""

__all__ = ["explain"]


def explain(
    model: str,
    image: str,
    *,
    target: str | None = None,
    versus: str | None = None,
    out: str | None = None,
    json: bool = False,
) -> int:
    """What every pixel and every bias gives to one number of a network, adding up to it.

    Args:
        model: A model.safetensors.
        image: The photo.
        target: class:NAME, pixel:Y,X:NAME in the photo's pixels, or box:K, the K-th box found from 0 on (its score;
            box:K:left, top, right, bottom are its sides). Derived: what is predicted.
        versus: Explain what the logit is more than that of this class.
        out: Draw the contributions on the photo, as .png or .svg.
        json: Print one JSON object.
    """
    from pathlib import Path

    from pellucid.inspection.explaining import explain_file
    from pellucid.inspection.picture import write_picture
    from pellucid.terminal import to_json

    found = explain_file(model, image, target, versus)
    if out is not None:
        write_picture(Path(out), found.account, found.pixels)
    print(to_json(found.to_json()) if json else found.account.summary())
    return 0
