"""`pellucid field`: what the units of a network see of an image."""

__all__ = ["field"]


def field(
    model: str,
    *,
    size: str | None = None,
    operation: str | None = None,
    at: tuple[int, int] | None = None,
    data: str | None = None,
    split: str = "train",
    images: int = 32,
    image: str | None = None,
    out: str | None = None,
    json: bool = False,
) -> int:
    """What the units of a network see: receptive fields of every operation, effective ones, and objects beside them.

    Args:
        model: A model.safetensors, or the name of a network, such as resnet18.
        size: HxW in network pixels. Derived: that of the images, or what the network is meant for.
        operation: The operation whose unit is looked at, as `pellucid cost MODEL` lists them. Derived: the last maps.
        at: Row and column of the unit. Derived: the one in the middle.
        data: A dataset: effective fields over some of its images, and the sizes of its objects beside them.
        split: Which of its images: train, val or test.
        images: So many of them for the effective field.
        image: A photo instead, for the effective field.
        out: Draw what the first of the units sees on the photo, as .png or .svg.
        json: Print one JSON object.
    """
    from pellucid.inspection.field_picture import write_field
    from pellucid.inspection.seeing import fields_of
    from pellucid.terminal import to_json

    found = fields_of(model, size, operation=operation, at=at, data=data, split=split, photo=image, images=images)
    if out is not None:
        write_field(out, found.looked[0])
    print(to_json(found.to_json()) if json else found.text())
    return 0
