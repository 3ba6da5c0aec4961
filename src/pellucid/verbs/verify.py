"""`pellucid verify`: whether an exported file is whole and does what it did."""

__all__ = ["verify"]


def verify(file: str, *, json: bool = False, script: bool = False) -> int:
    """Read every byte of an exported file against its digests and run its self-test; exits with 1 if it is refused.

    Args:
        file: What `pellucid export` has written.
        json: Print one JSON object.
        script: Print, instead, a script that runs the self-test of an ONNX file with onnxruntime and NumPy alone.
    """
    from pellucid.terminal import to_json

    if script:
        from pellucid.runtime.script import SCRIPT

        print(SCRIPT, end="")
        return 0
    from pellucid.runtime.verifying import verify as verify_file

    verified = verify_file(file)
    print(to_json(verified.to_json()) if json else verified.text())
    return 0 if verified.ok else 1
