"""`pellucid terms`: one number of a network on a photo, as the sum that it is."""

__all__ = ["terms"]


def terms(
    model: str,
    image: str,
    operation: str,
    at: str,
    *,
    gradient: bool = False,
    weight: bool = False,
    target: str | None = None,
    versus: str | None = None,
    most: int = 12,
    json: bool = False,
) -> int:
    """One number of a network on a photo, as the sum that it is: its terms, each with where it comes from.

    Args:
        model: A model.safetensors.
        image: The photo.
        operation: Its name, as `pellucid cost MODEL` lists them: layer1.0.conv1.
        at: CHANNEL,ROW,COLUMN of the output; UNIT where there are no maps; of a weight its index.
        gradient: Not the output, but the gradient of the target with respect to it.
        weight: The gradient of the target with respect to one weight of the operation.
        target: As in `pellucid explain`: class:NAME, pixel:Y,X:NAME or box:K. Derived: what is predicted.
        versus: The target is what the logit is more than that of this class.
        most: Terms to show, the largest; JSON has all of them.
        json: Print one JSON object.
    """
    from pellucid.inspection.numbers import What, number_of_file
    from pellucid.terminal import to_json

    what: What = "weight" if weight else "gradient" if gradient else "output"
    found = number_of_file(model, image, operation, at, what=what, aim=(target, versus))
    print(to_json(found.to_json()) if json else found.text(most))
    return 0
