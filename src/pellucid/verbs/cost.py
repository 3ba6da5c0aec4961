"""`pellucid cost`: what a network costs, operation by operation."""

__all__ = ["cost"]


def cost(
    model: str,
    *,
    size: str | None = None,
    classes: int | None = None,
    measure: bool = False,
    json: bool = False,
) -> int:
    """What a network costs: parameters, multiply-adds and bytes of every operation, and how long each takes here.

    Args:
        model: A model.safetensors, or the name of a network, such as resnet18.
        size: HxW in network pixels. Derived: what the network is meant for.
        classes: Of a network that is given by its name. Derived: 1000 to classify, 21 to segment, 80 to detect.
        measure: Time every operation, beside what this machine, measured too, allows it; and say why they differ.
        json: Print one JSON object.
    """
    from pellucid.inspection.costs import cost_of
    from pellucid.terminal import to_json

    found = cost_of(model, size, classes, measure=measure)
    print(to_json(found.to_json()) if json else found.text())
    return 0
