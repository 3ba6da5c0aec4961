"""`pellucid check`: what is in a dataset."""

__all__ = ["check"]


def check(data: str, *, format: str | None = None, json: bool = False) -> int:
    """What is in a dataset, what of it cannot be used and why, and what is odd about it.

    Args:
        data: A folder of images (one subfolder a class), a CSV or TSV table, or the name of a set (fashion-mnist).
        format: Format of the data (folder, table, idx, cifar). Derived from the files.
        json: Print one JSON object.
    """
    from pellucid.data.check import check as check_dataset
    from pellucid.data.dataset import open_dataset
    from pellucid.terminal import to_json

    report = check_dataset(open_dataset(data, format))
    print(to_json(report.to_json()) if json else report.text())
    return 0 if report.ok else 1
