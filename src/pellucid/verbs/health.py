"""`pellucid health`: what is wrong with a trained network."""

__all__ = ["health"]


def health(
    model: str,
    *,
    data: str | None = None,
    split: str = "val",
    images: int = 128,
    format: str | None = None,
    only: str | None = None,
    sees: str | None = None,
    out: str = "sees.png",
    json: bool = False,
) -> int:
    """What is wrong with a trained network: dead channels, damaged statistics, mixed-up classes, wrong preprocessing.

    Args:
        model: A model.safetensors.
        data: Images with labels, as for training. Left out, only the weights are examined.
        split: Which images: train, val or test. One that the data lacks is cut as in the model's training.
        images: So many images of the split are looked at.
        format: Format of the data. Derived from the files.
        only: One examination alone: filters, activity, gradients, classes or preprocess.
        sees: A photo. Instead of an examination, draw what the network receives of it, to compare.
        out: Where that picture goes, a .png.
        json: Print one JSON object.
    """
    from pellucid.terminal import to_json

    if sees is not None:
        from pellucid.inspection.sees import what_the_network_sees, write_seen

        seen = what_the_network_sees(model, sees)
        write_seen(out, seen)
        print(to_json(seen.to_json()) if json else f"{seen.text()}\n{out}")
        return 0
    from pellucid.inspection.health import health_of

    report = health_of(model, data, split=split, images=images, format=format, only=only)
    print(to_json(report.to_json()) if json else report.text())
    return 0 if report.ok else 1
