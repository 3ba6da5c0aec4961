"""Where in a network an operation happens: the module it runs in, and a name for it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

__all__ = ["Places", "evaluating", "kind_of"]

REFLECTED = {"radd": "add", "iadd": "add", "rmul": "mul", "imul": "mul", "rsub": "sub", "isub": "sub"}


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode: a look changes no running statistics; afterwards each module is as it was."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


def kind_of(function: Any) -> str:
    """What a torch function is called without its marks: `add` for `add`, `add_`, `+`, `+=`."""
    name = function.__name__
    if name == "__get__":  # of a property such as x.T
        name = function.__self__.__name__
    name = name.strip("_")
    return REFLECTED.get(name, name)


class Places:
    """The modules that a pass is inside of, kept by hooks while it is entered.

    Of one of torch's own layers the name is its place in the network (`layer1.0.conv1`), of an operation in a module's
    own code the place and its kind (`layer1.0.add`), of a second call `pool#2`.
    """

    def __init__(self, model: nn.Module) -> None:
        self._names = {module: name for name, module in model.named_modules()}
        self._inside: list[nn.Module] = []
        self._used: Counter[str] = Counter()
        self._handles: list[Any] = []

    def __enter__(self) -> "Places":
        for module in self._names:
            self._handles.append(module.register_forward_pre_hook(self._enter))
            self._handles.append(module.register_forward_hook(self._leave, always_call=True))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def name(self, kind: str) -> str:
        """That of an operation which happens now."""
        module = self._inside[-1]
        where = self._names[module]
        if not type(module).__module__.startswith("torch.nn.") or any(module.children()):
            where = f"{where}.{kind}" if where else kind
        self._used[where] += 1
        return where if self._used[where] == 1 else f"{where}#{self._used[where]}"

    def _enter(self, module: nn.Module, _arguments: Any) -> None:
        self._inside.append(module)

    def _leave(self, _module: nn.Module, _arguments: Any, _output: Any) -> None:
        self._inside.pop()
