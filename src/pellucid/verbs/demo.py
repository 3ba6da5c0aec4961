"""`pellucid demo`: the whole way on sets that are made here."""

from pathlib import Path

__all__ = ["demo"]


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
