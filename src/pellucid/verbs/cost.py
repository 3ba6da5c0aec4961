"""`pellucid cost`: what a network costs, operation by operation."""

__all__ = ["cost"]


def cost(model: str, *, size: str | None = None, classes: int = 1000, json: bool = False) -> int:
    """What a network costs: parameters, multiply-adds and bytes of every operation.

    Args:
        model: A model.safetensors, or the name of a network, such as resnet18.
        size: HxW in network pixels. Derived: what the network is meant for.
        classes: Of a network that is given by its name.
        json: Print one JSON object.
    """
    from pellucid.inspection.costs import cost_of
    from pellucid.terminal import to_json

    found = cost_of(model, size, classes)
    print(to_json(found.to_json()) if json else found.text())
    return 0
