"""Every setting of a training run: one field is the default, the flag, its help, and the saved value.

None means *derived*: from the data, the model, the machine or the minutes given. What was derived is printed with
its reason and saved beside the settings.
"""

import contextlib
import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pellucid.catalog import suggestion
from pellucid.errors import UsageError

__all__ = ["TrainConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Settings of one training run."""

    model: str | None = None
    """Name of a model, or your own `file.py:Class`. Derived from image size and budget."""
    arguments: tuple[str, ...] = ()
    """Arguments of the model that was named, such as width=32, or grid=14 boxes=3."""
    epochs: int | None = None
    """Passes over the training images. Derived from the number of images, or from the minutes."""
    minutes: float | None = None
    """Finish within this many minutes: model size, resolution, batch and epochs are derived from measured speed."""
    seed: int = 0
    """Same data, settings, seed and threads give the same bits."""
    threads: int | None = None
    """Processor threads. Derived from the cores this process may use."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps. Derived: a GPU where there is one."""
    precision: Literal["fp32", "bf16"] | None = None
    """Arithmetic of the training step. Derived: bf16 where it was measured to be faster."""

    format: str | None = None
    """Format of the data, such as folder, masks or coco-boxes. Derived from the files."""
    size: int | None = None
    """Side of the square the network sees, in pixels: the image, or pieces of it to segment. Derived from model and
    images."""
    scale: float | None = None
    """Share of their own size at which photos are segmented. Derived from the images: 1 unless they are large."""
    batch: int | None = None
    """Images a step. Derived from the model and the number of images."""
    accumulate: int = 1
    """Micro-batches a step; each holds batch / accumulate images."""
    sync_batch_norm: bool = False
    """With several ranks on GPUs: batch norms see the images of all of them, not only their own."""
    weights: str | None = None
    """Start from these weights: a model file or a published name (resnet18-imagenet)."""
    freeze: tuple[str, ...] = ()
    """Parts that stay as they are, by prefix of their parameter names (conv1 layer1)."""

    optimizer: Literal["sgd", "adamw", "muon", "muon-adamw"] | None = None
    """sgd: Nesterov momentum. adamw. muon: orthogonalised momentum on the filters, sgd or adamw on the rest.
    Derived from the number of parameters: muon for small networks from scratch, else sgd."""
    lr: float | None = None
    """Peak learning rate. Derived from the optimizer and the batch."""
    momentum: float | None = None
    """Momentum of sgd and muon. Derived: 0.9."""
    weight_decay: float | None = None
    """Decay of weights; norms and biases are left out. Derived from the optimizer."""
    schedule: Literal["one-cycle", "cosine"] = "one-cycle"
    """How the learning rate falls after the warm-up: straight to zero, or along a cosine."""
    warmup: float = 0.15
    """Share of the steps in which the learning rate rises to its peak."""
    clip: float | None = None
    """Largest norm of the gradient. Not clipped unless given."""
    ema: float | None = None
    """Decay of the running mean of the weights, which is what is saved and judged. 0 is off. Derived from the steps."""

    smoothing: float | None = None
    """Label smoothing: share of the target spread over all classes. Derived from the task."""
    dice: float | None = None
    """Weight of the Dice loss beside the cross entropy, in segmentation. Derived: 0.5."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: a class counts as much as any other, however few images it has."""
    hflip: float = 0.5
    """Chance of mirroring an image. Set 0 where left and right differ (digits, letters)."""
    shift: float | None = None
    """Largest shift as a share of the side. Derived from the size."""
    zoom: float | None = None
    """Smallest share of the side that a training crop shows; pieces of images to segment are from this to 1 over this
    as wide as the network's view. Derived from the task and the size."""
    rotate: float = 0.0
    """Largest rotation in degrees."""
    color: float | None = None
    """Strength of changes in brightness, contrast and saturation, 0 to 1. Derived from the task."""
    erase: float = 0.0
    """Side of a square that is greyed out, as a share of the image's side."""
    mixup: float = 0.0
    """Alpha of mixup: blends pairs of images and their targets. 0 is off."""
    cutmix: float = 0.0
    """Alpha of cutmix: pastes a rectangle of another image. 0 is off."""
    mosaic: float | None = None
    """Share of the batches that show four images at once, in detection; none in the last steps. Derived: 0.5."""
    multi_scale: float = 0.0
    """Largest share by which the side of the view differs from step to step, in detection."""

    patience: int | None = None
    """Stop after this many evaluations without a better figure on the validation split."""
    evaluate_every: int | None = None
    """Epochs between evaluations on the validation split. Derived: some thirty evaluations in a run."""
    save_seconds: float = 60.0
    """Seconds between checkpoints; a run stopped at any moment goes on from the last to the same bits."""
    val: float = 0.1
    """Share of the training images cut off for validation where the data has no such split (at most 2,000)."""
    test: float = 0.1
    """Share of the training images cut off for the test where the data has no such split."""
    split_seed: int = 0
    """Decides which images are cut off; runs with the same one can be compared, whatever their seed."""
    cache_gb: float | None = None
    """Largest size of the decoded images on disk. Derived: half of the free space."""

    def __post_init__(self) -> None:
        """Refuse values and combinations that cannot be meant."""
        _check_choices(self)
        _check_ranges(self)
        _check_combinations(self)

    def to_json(self) -> dict[str, Any]:
        """Plain values, every field."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "TrainConfig":
        """The configuration from saved values; an unknown name is an error."""
        known = {field.name for field in dataclasses.fields(cls)}
        for name in values:
            if name not in known:
                raise UsageError(f"Unknown setting {name!r}.{suggestion(name, known)}")
        return cls(**values | {name: tuple(values.get(name, ())) for name in ("arguments", "freeze")})

    def model_arguments(self) -> dict[str, Any]:
        """`arguments` by name: whole numbers, fractions, true and false are read as such, the rest is text."""
        return dict(map(_argument, self.arguments))


RANGES: dict[str, tuple[float, float]] = {
    "epochs": (1, 1e6),
    "minutes": (0.05, 1e6),
    "seed": (0, 2**63 - 1),
    "split_seed": (0, 2**63 - 1),
    "threads": (1, 4096),
    "size": (8, 4096),
    "scale": (0.01, 1),
    "batch": (1, 1 << 20),
    "accumulate": (1, 1 << 16),
    "lr": (0, 1e6),
    "momentum": (0, 0.9999),
    "weight_decay": (0, 10),
    "warmup": (0, 0.9),
    "clip": (1e-9, 1e9),
    "ema": (0, 0.999999),
    "smoothing": (0, 0.99),
    "dice": (0, 100),
    "hflip": (0, 1),
    "shift": (0, 0.5),
    "zoom": (0.05, 1),
    "rotate": (0, 180),
    "color": (0, 1),
    "erase": (0, 1),
    "mixup": (0, 100),
    "cutmix": (0, 100),
    "mosaic": (0, 1),
    "multi_scale": (0, 0.75),
    "patience": (1, 1e6),
    "evaluate_every": (1, 1e6),
    "save_seconds": (0, 1e9),
    "val": (0, 0.5),
    "test": (0, 0.5),
    "cache_gb": (0, 1e6),
}


def _check_choices(config: TrainConfig) -> None:
    for name, kind in get_type_hints(TrainConfig).items():
        choices, value = _choices(kind), getattr(config, name)
        if choices and value is not None and value not in choices:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} is {value!r}; it must be one of {', '.join(choices)}.")


def _choices(kind: Any) -> tuple[str, ...]:
    """The words of a Literal that stands alone or beside None."""
    literals = [part for part in (kind, *get_args(kind)) if get_origin(part) is Literal]
    return get_args(literals[0]) if literals else ()


def _check_ranges(config: TrainConfig) -> None:
    for name, (low, high) in RANGES.items():
        value = getattr(config, name)
        if value is not None and not low <= value <= high:
            raise UsageError(f"--{name.replace('_', '-')} is {value}; it must lie between {low:g} and {high:g}.")


def _argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name.isidentifier() and equals and value):
        raise UsageError(f"--arguments {text}: give them as name=value, such as width=32.")
    for read in (int, float, {"true": True, "false": False}.__getitem__):
        with contextlib.suppress(ValueError, KeyError):
            return name, read(value)
    return name, value


def _check_combinations(config: TrainConfig) -> None:
    if config.model_arguments() and config.model is None:
        raise UsageError("--arguments are those of a network. Name it: --model.")
    if config.epochs is not None and config.minutes is not None:
        raise UsageError("--epochs and --minutes both say how long to train. Give one of them.")
    if config.momentum is not None and config.optimizer == "adamw":
        raise UsageError("--momentum has no effect with --optimizer adamw. Leave it out.")
    if config.batch is not None and config.batch % config.accumulate:
        raise UsageError(f"--batch {config.batch} cannot be divided into --accumulate {config.accumulate} equal parts.")
