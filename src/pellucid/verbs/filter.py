"""`pellucid filter`: a picture through a kernel."""

from typing import Literal

from pellucid.errors import UsageError

__all__ = ["filter_"]


def filter_(
    image: str,
    *,
    kernel: str | None = None,
    out: str | None = None,
    side_by_side: bool = False,
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "replicate",
    show: Literal["clip", "absolute", "signed", "stretch"] | None = None,
    json: bool = False,
) -> int:
    """A picture through a kernel, each channel by itself: edges, blur, relief, or a matrix of your own.

    Args:
        image: The picture.
        kernel: A name (edge, sobel-x, gaussian:7:1.5 for size and sigma) or a matrix, as "0 1 0 / 1 -4 1 / 0 1 0".
        out: The .png or .jpg to write. Derived: photo-edge.jpg (of a JPEG) or .png, in this folder.
        side_by_side: Write the picture and what became of it next to each other.
        padding_mode: What lies beyond the edges.
        show: How responses become bytes. Derived: absolute for kernels that sum to zero, else clip.
        json: Print one JSON object.
    """
    from pellucid.filtering import filter_file
    from pellucid.terminal import note, to_json

    if kernel is None:
        raise UsageError('filter needs --kernel, a name such as edge or a matrix such as "0 1 0 / 1 -4 1 / 0 1 0".')
    done = filter_file(image, kernel, out, padding_mode=padding_mode, show=show, side_by_side=side_by_side)
    for said in done.notes:
        note(f"{image}: {said}")
    print(to_json(done.to_json()) if json else f"{done.filtered.text()}\n{done.out}")
    return 0
