"""`pellucid serve`: a model file behind HTTP."""

__all__ = ["serve"]


def serve(
    file: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token_file: str | None = None,
    queue: int = 64,
    batch: int = 8,
    timeout: float = 30.0,
    engine: str | None = None,
    quiet: bool = False,
) -> int:
    """Answer photos with predictions over HTTP, until SIGTERM or Ctrl-C; /openapi.json says how to ask.

    Args:
        file: A model.safetensors, or what `pellucid export` has written.
        host: The address to answer on; another than this machine's own lets others in.
        port: The port; 0 takes any free one.
        token_file: A file with the token that requests must bring: Authorization: Bearer TOKEN.
        queue: Requests under way at once; more are told to come again (429).
        batch: Photos that go through the network together at most.
        timeout: Seconds a request may take.
        engine: What runs an exported file: onnxruntime, openvino, openvino-bf16, or fastest, which is measured once.
        quiet: No line a request on standard error.
    """
    from pellucid.serve.start import start
    from pellucid.terminal import note

    def started(address: str) -> None:
        print(address, flush=True)
        note("Stop with Ctrl-C.")

    limits = {"queue": queue, "batch": batch, "seconds": timeout}
    start(file, engine, (host, port), token_file, limits, log=not quiet, started=started)
    return 0
