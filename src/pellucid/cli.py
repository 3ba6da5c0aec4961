"""The command line: each verb is a function whose parameters are its flags; each imports what it needs when it runs.

Results go to standard output, progress and notes to standard error. Exit codes: 0 done, 1 the answer is no (a check
that found something, an image that could not be read), 2 wrong use or bad input, 128 + n stopped by signal n.
"""

import contextlib
import dataclasses
import functools
import inspect
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from pellucid import __version__
from pellucid.catalog import suggestion
from pellucid.config import TrainConfig
from pellucid.errors import PellucidError, UsageError

__all__ = ["main"]

DEFAULTS = TrainConfig()


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


def convert(
    data: str, *, to: str | None = None, out: str | None = None, format: str | None = None, json: bool = False
) -> int:
    """Write a dataset in another format, with the splits it has; exits with 1 when something of it was refused.

    Args:
        data: A folder of images and labels, a table, or the name of a set.
        to: The format to write: folder, table, idx, cifar; masks, coco-masks, panoptic, yolo-masks, instance-masks;
            voc, coco-boxes, yolo-boxes, csv-boxes.
        out: The new or empty folder to write to.
        format: Format of the data. Derived from the files.
        json: Print one JSON object.
    """
    from pellucid.data.converting import convert as convert_dataset
    from pellucid.terminal import to_json

    if to is None or out is None:
        raise UsageError("convert needs --to, the format to write, and --out, the folder to write it to.")
    done = convert_dataset(data, to, out, format=format)
    print(to_json(done.to_json()) if json else done.text())
    return 0 if done.whole else 1


def train(data: str, settings: TrainConfig = DEFAULTS, *, out: str | None = None, resume: bool = False) -> int:
    """Train on your images; leaves the model, its figures and report.html in the run folder.

    Args:
        data: A folder of images (one subfolder a class), a CSV or TSV table, or the name of a set (fashion-mnist).
        settings: The settings.
        out: The run folder. Derived: runs/1, runs/2, …
        resume: Go on with the run in that folder, to the same bits as if it had never been stopped.
    """
    from pellucid.terminal import StopSignals, TrainingView, figures, note
    from pellucid.training.run import train as train_run

    if out is None and resume:
        raise UsageError("--resume needs --out, the folder of the run to go on with.")
    folder = out or _new_run()
    stop = StopSignals()
    with TrainingView() as view:
        outcome = train_run(data, folder, settings, resume=resume, stop=stop, listen=view.hear, say=view.say)
    if outcome.stopped:
        note(f"Stopped by {outcome.stopped}. Go on with: pellucid train {data} --out {folder} --resume")
        return 128 + stop.number
    for split, row in outcome.metrics.items():
        print(f"{split}: {figures(row)}")
    print(f"model:  {outcome.folder / 'model.safetensors'}\nreport: {outcome.folder / 'report.html'}")
    return 0


def _new_run() -> str:
    number = 1
    while Path(f"runs/{number}").exists():
        number += 1
    return f"runs/{number}"


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
        model: A model.safetensors.
        data: A folder of images, a table, or the name of a set.
        split: Which images: train, val or test. One that the data lacks is cut as in the model's training.
        format: Format of the data (folder, table, idx, cifar). Derived from the files.
        against: A second model, compared with the first image by image.
        json: Print one JSON object.
    """
    from pellucid.evaluation import evaluate as evaluate_model
    from pellucid.terminal import evaluation_text, to_json

    result = evaluate_model(model, data, split=split, format=format, against=against).to_json()
    print(to_json(result) if json else evaluation_text(result))
    return 0


def predict(
    model: str,
    images: tuple[str, ...],
    *,
    json: bool = False,
    csv: bool = False,
    draw: str | None = None,
    save: str | None = None,
) -> int:
    """What a model says of images.

    Args:
        model: A model.safetensors.
        images: Files, folders, globs; - reads one path a line from standard input.
        json: Print one JSON object a line: image, prediction, error.
        csv: Print a CSV table.
        draw: Write every picture, its prediction drawn on it, into this folder.
        save: Write masks into this folder: class indices, and the same in colours.
    """
    from pellucid.image import write_image
    from pellucid.prediction import list_images, load
    from pellucid.prediction import predict as predict_images
    from pellucid.terminal import PredictionWriter, drawn_path, note, tracked

    if json and csv:
        raise UsageError("--json and --csv are two forms of the same answer. Give one of them.")
    paths = list_images(images, sys.stdin)
    predictor = load(model)
    form = "json" if json else "csv" if csv else "text"
    writer = PredictionWriter(form, predictor.task.columns, sys.stdout)
    failed, drawn, saved = 0, set[Path](), set[Path]()
    for found in tracked(predict_images(predictor, paths), len(paths), "images"):
        writer.write(found)
        failed += found.error is not None
        if draw is not None and found.prediction is not None:
            target = drawn_path(Path(draw), found.image, drawn)
            write_image(target, predictor.task.draw(found.pixels, found.prediction))
        if save is not None and found.prediction is not None:
            predictor.task.save(found.prediction, drawn_path(Path(save), found.image, saved))
    if failed:
        note(f"{failed} of {len(paths)} images could not be read.")
    return 1 if failed else 0


def import_(
    weights: str,
    *,
    model: str | None = None,
    classes: tuple[str, ...] = (),
    mean: tuple[str, ...] = (),
    std: tuple[str, ...] = (),
    size: int | None = None,
    crop: float | None = None,
    out: str | None = None,
) -> int:
    """Make a model file of foreign weights: .safetensors, .pt, .pth, .th, or a published name (resnet18-imagenet).

    Args:
        weights: The file, or the published name, which is fetched. No code in it is executed.
        model: The network these weights belong to.
        classes: Names of the classes in the order of the outputs, divided by commas; or a file with one a line.
        mean: Mean of the training images by channel, of values from 0 to 1.
        std: Standard deviation likewise.
        size: Side of the square image the network sees. Derived from the network.
        crop: Share of the short side that the square is cut from. Derived: all of it.
        out: The file to write. Derived: the name of the weights with .safetensors.
    """
    from pellucid.importing import import_weights

    means, deviations = _numbers("mean", mean), _numbers("std", std)
    path = import_weights(
        weights, model=model, classes=classes, mean=means, std=deviations, size=size, crop=crop, out=out
    )
    print(path)
    return 0


def _numbers(name: str, texts: Sequence[str]) -> tuple[float, ...]:
    try:
        return tuple(float(part) for text in texts for part in text.split(",") if part)
    except ValueError as error:
        raise UsageError(f"--{name} {' '.join(texts)}: {error}. Give numbers such as 0.485,0.456,0.406.") from error


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


def studio(*, port: int = 8765, image: str | None = None, open: bool = False) -> int:
    """Show convolutions number by number on a local page, until Ctrl-C.

    Args:
        port: The port of 127.0.0.1 to answer on; 0 takes any free one.
        image: The photograph on which the page tries kernels. Derived: the sample photograph of scikit-learn.
        open: Open the page in the browser.
    """

    from pellucid.studio.server import serve
    from pellucid.terminal import note

    def started(address: str) -> None:
        print(address, flush=True)
        note("Stop with Ctrl-C.")
        if open:
            import webbrowser

            webbrowser.open(address)

    try:
        serve(port, Path(image) if image else None, started)
    except KeyboardInterrupt:
        return 130
    return 0


def demo(names: tuple[str, ...], *, out: str = "pellucid-demo") -> int:
    """Train on digits (classify) or drawn scenes (segment, detect), evaluate, predict, report: in under a minute each.

    Args:
        names: Any of classify, segment and detect. Derived: classify.
        out: The folder to work in.
    """
    from pellucid.demo import run_demos
    from pellucid.terminal import note

    for line in run_demos(names, Path(out), note):
        print(line)
    return 0


def completion(shell: Literal["bash", "zsh", "tcsh"]) -> int:
    """Print a script that completes verbs and flags, such as `eval "$(pellucid completion bash)"`.

    Args:
        shell: Which shell.
    """
    import tyro

    tyro.extras.subcommand_cli_from_dict(
        dict(VERBS), prog="pellucid", args=["--tyro-print-completion", shell], config=_config()
    )
    return 0


VERBS: dict[str, Callable[..., int]] = {
    "check": check,
    "convert": convert,
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
    "import": import_,
    "filter": filter_,
    "studio": studio,
    "demo": demo,
    "completion": completion,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; gives the exit code. A user's mistake is one line on standard error, never a traceback."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(words)
    except PellucidError as error:
        print(f"pellucid: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("pellucid: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    except OSError as error:
        print(f"pellucid: {error.filename or 'the system'}: {error.strerror or error}", file=sys.stderr)
        return 2


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        print(f"pellucid {__version__}")
        return 0
    if words[0] not in VERBS:
        raise UsageError(f"No verb named {words[0]!r}.{suggestion(words[0], VERBS)} See `pellucid --help`.")
    _refuse_unknown_flags(words[0], words[1:])
    return _parsed(words[0], words[1:])()


def _refuse_unknown_flags(verb: str, words: Sequence[str]) -> None:
    names = [*inspect.signature(VERBS[verb]).parameters, "help"]
    if "settings" in names:
        names += [field.name for field in dataclasses.fields(TrainConfig)]
    flags = {f"--{name.replace('_', '-')}" for name in names}
    for word in words:
        flag = word.partition("=")[0]
        if word.startswith("--") and flag.replace("_", "-") not in flags:
            raise UsageError(f"{verb} has no flag {flag}.{suggestion(flag, flags)} See `pellucid {verb} --help`.")


def _parsed(verb: str, words: Sequence[str]) -> Callable[[], int]:
    """The verb with its flags read; what tyro says of a mistake in a frame is said in one line."""
    import tyro

    told = io.StringIO()
    function = VERBS[verb]

    @functools.wraps(function)
    def deferred(*positional: Any, **flags: Any) -> Callable[[], int]:
        return functools.partial(function, *positional, **flags)

    try:
        with contextlib.redirect_stderr(told):
            return tyro.cli(deferred, prog=f"pellucid {verb}", args=words, config=_config())
    except SystemExit as ended:
        if ended.code != 2:
            raise
        raise UsageError(f"{_first_paragraph(told.getvalue())} See `pellucid {verb} --help`.") from ended


def _first_paragraph(frame: str) -> str:
    """The text of a framed message up to its first rule or empty line."""
    found = []
    for line in frame.splitlines()[1:]:
        text = line.strip("│╭╰╮╯ ").strip()
        if not text or set(text) == {"─"}:
            break
        found.append(text)
    return " ".join(found)


def _config() -> tuple[Any, ...]:
    import tyro

    return (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff, tyro.conf.PositionalRequiredArgs)


def _overview() -> str:
    lines = ["pellucid: convolutional networks one can see through.", "", "usage: pellucid VERB ...", ""]
    for name, verb in VERBS.items():
        first = inspect.getdoc(verb).splitlines()[0]  # type: ignore[union-attr]
        lines.append(f"  {name:<11} {first}")
    return "\n".join([*lines, "", "`pellucid VERB --help` shows the flags of one verb."])
