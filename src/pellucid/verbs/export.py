"""`pellucid export`: a model as one file that anyone can run."""

__all__ = ["export"]


def export(
    model: str,
    out: str,
    *,
    data: str | None = None,
    int8: bool = False,
    repository: bool = False,
    licence: str | None = None,
    json: bool = False,
) -> int:
    """Write a model as one file that anyone can run: photos in, finished results out; exits with 1 if it is not equal.

    Args:
        model: A model.safetensors.
        out: The file to write: net.onnx; or a new folder, for OpenVINO.
        data: A dataset, on whose validation images network and file are compared. Without it, on generated ones.
        int8: Quantise the network, with scales from the training images of --data.
        repository: Write OUT as a model's folder of a repository for Triton or KServe; its name is the model's.
        licence: What may be done with the model, for its users to read.
        json: Print one JSON object.
    """
    from pellucid.errors import ModelError
    from pellucid.export.exporting import export_model
    from pellucid.terminal import note, to_json

    try:
        exported = export_model(model, out, data=data, int8=int8, repository=repository, licence=licence)
    except ModelError as error:
        note(f"pellucid: {error}")
        return 1
    print(to_json(exported.to_json()) if json else exported.text())
    return 0
