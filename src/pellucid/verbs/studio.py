"""`pellucid studio`: the local page."""

from pathlib import Path

__all__ = ["studio"]


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
