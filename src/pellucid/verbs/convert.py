"""`pellucid convert`: a dataset in another format."""

from pellucid.errors import UsageError

__all__ = ["convert"]


def convert(
    data: str,
    *,
    to: str | None = None,
    out: str | None = None,
    format: str | None = None,
    shard_mb: int | None = None,
    json: bool = False,
) -> int:
    """Write a dataset in another format, with the splits it has; exits with 1 when something of it was refused.

    Args:
        data: A folder of images and labels, a table, or the name of a set.
        to: The format to write: folder, table, idx, cifar; masks, coco-masks, panoptic, yolo-masks, instance-masks;
            voc, coco-boxes, yolo-boxes, csv-boxes; shards, for data of any task.
        out: The new or empty folder to write to.
        format: Format of the data. Derived from the files.
        shard_mb: Size of a shard in MB (millions of bytes). 256.
        json: Print one JSON object.
    """
    from pellucid.data.converting import convert as convert_dataset
    from pellucid.terminal import to_json

    if to is None or out is None:
        raise UsageError("convert needs --to, the format to write, and --out, the folder to write it to.")
    done = convert_dataset(data, to, out, format=format, shard_mb=shard_mb)
    print(to_json(done.to_json()) if json else done.text())
    return 0 if done.whole else 1
