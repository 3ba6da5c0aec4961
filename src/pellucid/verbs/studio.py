"""`pellucid studio`: the local pages."""

from pathlib import Path

__all__ = ["studio"]


def studio(
    model: str | None = None,
    given: str | None = None,
    /,
    *,
    port: int = 8765,
    image: str | None = None,
    open: bool = False,
) -> int:
    """Show a network and its arithmetic number by number on local pages, until Ctrl-C.

    Args:
        model: A model.safetensors, or the folder of a run. Without one, the pages are about convolutions alone.
        given: The photo that the model looks at; or images with labels, as for training. Derived: a sample photograph.
        port: The port of 127.0.0.1 to answer on; 0 takes any free one.
        image: The photograph on which the page Arithmetic tries kernels. Derived: the model's photo, else the sample.
        open: Open the page in the browser.
    """

    from pellucid.studio.server import serve
    from pellucid.studio.subject import subject_of
    from pellucid.terminal import note

    def started(address: str) -> None:
        print(address, flush=True)
        note("Stop with Ctrl-C.")
        if open:
            import webbrowser

            webbrowser.open(address)

    subject = subject_of(model, given)
    try:
        serve(port, Path(image) if image else subject.photo, subject, started)
    except KeyboardInterrupt:
        return 130
    return 0
