"""`pellucid evaluate`: how good a model is."""

__all__ = ["evaluate"]


def evaluate(
    model: str,
    data: str,
    *,
    split: str = "test",
    format: str | None = None,
    against: str | None = None,
    json: bool = False,
) -> int:
    """How good a model is on a split, with 95 % intervals; with --against, whether it is better than another.

    Args:
        model: A model.safetensors, or what `pellucid export` has written.
        data: A folder of images, a table, or the name of a set.
        split: Which images: train, val or test. One that the data lacks is cut as in the model's training.
        format: Format of the data (folder, table, idx, cifar). Derived from the files.
        against: A second model, compared with the first image by image.
        json: Print one JSON object.
    """
    from pellucid.evaluation import evaluate as evaluate_model
    from pellucid.ranks import joined
    from pellucid.terminal import evaluation_text, to_json

    with joined() as ranks:
        result = evaluate_model(model, data, split=split, format=format, against=against, ranks=ranks).to_json()
    if ranks.main:
        print(to_json(result) if json else evaluation_text(result))
    return 0
