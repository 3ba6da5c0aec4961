"""Batched augmentation of images together with their targets; every draw comes from an explicit generator.

Geometry is one affine map an image, applied by one `grid_sample` for the whole batch; the same matrices move the
targets (`task.move`). Light is one affine map of the channels an image. Draws are made on the CPU, so a GPU sees the
same ones.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
from torch import Generator, Tensor
from torch.nn import functional

__all__ = [
    "Augment",
    "blend",
    "draw_matrices",
    "draw_partners",
    "draw_size",
    "erase",
    "recolor",
    "tiled",
    "warp",
    "warp_tiled",
]

CELL = 32
"""Pixels in which the side of a view changes: the greatest stride of a network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """How strongly images are changed in training; zero (or zoom 1) leaves them as they are.

    `wide` says that the zoom goes both ways, from `zoom` to 1 / `zoom` of the view, rather than inwards only; `view` is
    the share of the side that zoom 1 shows, which is a half of a mosaic.
    """

    hflip: float = 0.0
    shift: float = 0.0
    zoom: float = 1.0
    rotate: float = 0.0
    color: float = 0.0
    erase: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    mosaic: float = 0.0
    multi_scale: float = 0.0
    wide: bool = False
    view: float = 1.0


def _uniform(count: int, low: float, high: float, generator: Generator) -> Float[Tensor, " n"]:
    return torch.rand(count, generator=generator) * (high - low) + low


def draw_matrices(count: int, size: int, augment: Augment, generator: Generator) -> Float[Tensor, "n 2 3"]:
    """Affine maps from output to input coordinates (-1..1, as `affine_grid` wants them).

    Without zoom and rotation the shift is a whole number of pixels, so that nothing is blurred.
    """
    flip = 1.0 - 2.0 * (torch.rand(count, generator=generator) < augment.hflip).float()
    zoom = _drawn_zoom(count, augment, generator)
    angle = _uniform(count, -1, 1, generator) * math.radians(augment.rotate)
    reach = augment.shift + (1 - zoom).abs() / 2
    offset = torch.stack([_uniform(count, -1, 1, generator), _uniform(count, -1, 1, generator)], 1)
    offset = offset * 2 * reach[:, None]
    if augment.zoom == 1.0 and augment.rotate == 0.0:
        offset = (offset * size / 2).round() * 2 / size
    cosine, sine = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    rows = [cosine * flip, -sine, offset[:, 0], sine * flip, cosine, offset[:, 1]]
    return torch.stack(rows, 1).view(count, 2, 3)


def _drawn_zoom(count: int, augment: Augment, generator: Generator) -> Float[Tensor, " n"]:
    if augment.wide:
        return augment.view * augment.zoom ** _uniform(count, -1, 1, generator)
    return _uniform(count, augment.zoom, 1.0, generator)


def draw_size(size: tuple[int, int], augment: Augment, generator: Generator) -> tuple[int, int]:
    """The size of a batch's view: up to the share `multi_scale` smaller or larger, in whole cells."""
    if augment.multi_scale == 0:
        return size
    factor = _uniform(1, 1 - augment.multi_scale, 1 + augment.multi_scale, generator).item()
    rows, columns = (max(CELL, round(side * factor / CELL) * CELL) for side in size)
    return rows, columns


def draw_partners(count: int, generator: Generator) -> Int[Tensor, "n 4"]:
    """For each image of a batch itself and three drawn from the batch, in any order."""
    others = torch.randint(count, (count, 3), generator=generator)
    quads = torch.cat([torch.arange(count)[:, None], others], dim=1)
    return quads.gather(1, torch.rand(count, 4, generator=generator).argsort(dim=1))


def tiled(images: Shaped[Tensor, "n c h w"], order: Int[Tensor, "n 4"]) -> Shaped[Tensor, "n c h2 w2"]:
    """Four images side by side: upper left, upper right, lower left, lower right. `order` says which."""
    upper_left, upper_right, lower_left, lower_right = (images[column] for column in order.to(images.device).unbind(1))
    upper, lower = torch.cat([upper_left, upper_right], dim=3), torch.cat([lower_left, lower_right], dim=3)
    return torch.cat([upper, lower], dim=2)


def warp(
    images: Shaped[Tensor, "n c h w"],
    matrices: Float[Tensor, "n 2 3"],
    size: tuple[int, int],
    mode: str = "bilinear",
    *,
    grey: float | None = None,
) -> Float[Tensor, "n c rows columns"]:
    """Images sampled at the mapped positions; beyond the border lies this grey, or the mirrored picture."""
    x, y = _positions(matrices, size, images.device)
    if grey is None:
        return _sampled(images, x, y, mode, "reflection")
    height, width = images.shape[2:]
    framed = functional.pad(images, (1, 1, 1, 1), value=grey)
    return _sampled(framed, x * width / (width + 2), y * height / (height + 2), mode, "border")


def warp_tiled(
    images: Shaped[Tensor, "n c h w"],
    order: Int[Tensor, "n 4"],
    matrices: Float[Tensor, "n 2 3"],
    size: tuple[int, int],
    *,
    grey: float,
) -> Float[Tensor, "n c rows columns"]:
    """What `warp` shows of `tiled` images, but for the seams, where neighbours do not blend.

    Nothing is tiled: all images lie under one another in a strip with a grey line at its right, and every position
    among four of them becomes one in there.
    """
    count, _, height, width = images.shape
    across, down = _positions(matrices, size, images.device)
    right, x = _halved(across, width)
    low, y = _halved(down, height)
    middles = (2 * order.to(x) + 1) / count - 1
    upper_left, upper_right, lower_left, lower_right = middles[:, :, None, None].unbind(1)
    upper, lower = upper_left + (upper_right - upper_left) * right, lower_left + (lower_right - lower_left) * right
    outside = torch.maximum(2 * across.abs().floor(), 2 * down.abs().floor())
    strip = functional.pad(images, (0, 1), value=grey).transpose(0, 1).flatten(1, 2).float()
    x = (x + 1) * width / (width + 1) - 1 + outside
    y = y / count + upper + (lower - upper) * low
    return _sampled(strip.expand(count, -1, -1, -1), x, y, "bilinear", "border")


def _positions(
    matrices: Float[Tensor, "n 2 3"], size: tuple[int, int], device: torch.device
) -> tuple[Float[Tensor, "n _ columns"], Float[Tensor, "n rows _"]]:
    """Where the middles of a view's pixels come from: x and y from -1 to 1, which broadcast to N rows columns.

    Where nothing is turned, x is the same in every row and y in every column, and one of each is all that is computed.
    """
    rows, columns = ((2 * torch.arange(side, device=device) + 1) / side - 1 for side in size)
    (x_of_x, x_of_y, x_of_1), (y_of_x, y_of_y, y_of_1) = matrices.to(device).permute(1, 2, 0)[..., None, None]
    x, y = x_of_x * columns + x_of_1, y_of_y * rows[:, None] + y_of_1
    turned = bool(matrices[:, [0, 1], [1, 0]].any())
    return (x + x_of_y * rows[:, None], y + y_of_x * columns) if turned else (x, y)


def _halved(x: Float[Tensor, "n _ _"], side: int) -> tuple[Float[Tensor, "n _ _"], Float[Tensor, "n _ _"]]:
    """Of positions along two images: in which of them they lie, 0 or 1, and where, from its first pixel to its last."""
    second = (x + 1).floor().clamp(0, 1)
    return second, (2 * (x - second) + 1).clamp(1 / side - 1, 1 - 1 / side)


def _sampled(
    images: Shaped[Tensor, "n c h w"], x: Float[Tensor, "n _ _"], y: Float[Tensor, "n _ _"], mode: str, beyond: str
) -> Float[Tensor, "n c rows columns"]:
    """Images at these positions. All x lie before all y in memory, which is quicker to make and to read."""
    grid = torch.stack(torch.broadcast_tensors(x, y), dim=1).permute(0, 2, 3, 1)
    return functional.grid_sample(images.float(), grid, mode=mode, padding_mode=beyond, align_corners=False)


def recolor(images: Float[Tensor, "n c h w"], strength: float, generator: Generator) -> Float[Tensor, "n c h w"]:
    """Brightness, contrast and saturation scaled by factors from 1 - strength to 1 + strength; values 0..255.

    Brightness b scales values, contrast k their distance to the mean of the image, saturation s that to the mean of the
    pixel. Together, `b·k·(s·x + (1 - s)·mean of the pixel) + b·(1 - k)·mean of the image`.
    """
    channels = images.shape[1]
    factors = _uniform(3 * len(images), 1 - strength, 1 + strength, generator).view(3, -1, 1, 1).to(images)
    brightness, contrast, saturation = factors
    mixture = saturation * torch.eye(channels).to(images) + (1 - saturation) / channels
    offset = brightness * (1 - contrast) * images.mean(dim=(1, 2, 3))[:, None, None]
    changed = torch.baddbmm(offset, brightness * contrast * mixture, images.flatten(2))
    return changed.view_as(images).clamp_(0, 255)


def erase(images: Float[Tensor, "n c h w"], share: float, generator: Generator) -> Float[Tensor, "n c h w"]:
    """A square of `share` of the side set to 0 (the mean, after normalising) at a random place of each image."""
    inside = _rectangles(images, torch.full((len(images),), share), generator)
    return images.masked_fill(inside, 0.0)


def blend(
    images: Float[Tensor, "n c h w"], augment: Augment, generator: Generator
) -> tuple[Float[Tensor, "n c h w"], Tensor, Float[Tensor, " n"]]:
    """Mixup or cutmix: the images, the partner of each, and the share that each kept of itself.

    Zhang et al. 2018 (mixup) and Yun et al. 2019 (cutmix); where both are on, a coin decides for the batch.
    """
    count = len(images)
    order = torch.randperm(count, generator=generator)
    paste = augment.cutmix > 0 and (augment.mixup == 0 or torch.rand((), generator=generator).item() < 0.5)
    share = _beta(augment.cutmix if paste else augment.mixup, count, generator)
    partner = images[order.to(images.device)]
    if not paste:
        weight = share.view(-1, 1, 1, 1).to(images)
        return images * weight + partner * (1 - weight), order, share
    inside = _rectangles(images, (1 - share).sqrt(), generator)
    kept = 1 - inside.float().mean(dim=(1, 2, 3)).cpu()
    return torch.where(inside, partner, images), order, kept


def _beta(alpha: float, count: int, generator: Generator) -> Float[Tensor, " n"]:
    """Beta(alpha, alpha) by two gamma draws; the generator is explicit, which torch.distributions does not allow."""
    concentration = torch.full((2, count), alpha)
    first, second = torch._standard_gamma(concentration, generator=generator).clamp_min(1e-8)
    return first / (first + second)


def _rectangles(images: Tensor, share: Float[Tensor, " n"], generator: Generator) -> Tensor:
    """N 1 H W, true inside a rectangle of `share` of each side whose centre is anywhere in the image."""
    count, _, height, width = images.shape
    sides = []
    for length in (height, width):
        centre = _uniform(count, 0, length, generator)[:, None]
        cells = torch.arange(length) + 0.5
        sides.append((cells - centre).abs() < share[:, None] * length / 2)
    return (sides[0][:, None, :, None] & sides[1][:, None, None, :]).to(images.device)
