"""The command line: finds the verb, reads its flags, runs it.

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
from typing import Any, Literal

from pellucid import __version__, verbs
from pellucid.catalog import suggestion
from pellucid.config import TrainConfig
from pellucid.errors import PellucidError, UsageError

__all__ = ["main"]


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


VERBS: dict[str, Callable[..., int]] = {**verbs.VERBS, "completion": completion}


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
