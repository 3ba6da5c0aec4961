"""The same operation in torch, in float64, with the gradients that autograd gives."""

from collections.abc import Callable

import numpy as np
import torch

BOUND = 1e-12

worst: dict[str, float] = {}
counted: dict[str, int] = {}


def torch_pass(function: Callable, *inputs: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """(output, dY, gradients of the inputs) with a dY that is drawn from the output's size."""
    leaves = [None if one is None else torch.tensor(one, dtype=torch.float64, requires_grad=True) for one in inputs]
    output = function(*leaves)
    grad_output = np.random.default_rng(output.numel()).standard_normal(tuple(output.shape))
    output.backward(torch.tensor(grad_output))
    grads = [leaf.grad.numpy() for leaf in leaves if leaf is not None]
    return output.detach().numpy(), grad_output, grads


def agree(name: str, ours: np.ndarray, theirs: np.ndarray, terms: np.ndarray | None = None) -> None:
    """Same shape, and equal to a relative error of 1e-12 of the largest value; the worst is kept for the record.

    Where the sum may cancel to nothing, so that both are rounding, `terms` holds the sums of the absolute terms, to
    which the error is relative then.
    """
    assert ours.dtype == np.float64
    assert ours.shape == theirs.shape
    difference = float(np.abs(ours - theirs).max(initial=0.0))
    largest = float(np.abs(theirs if terms is None else terms).max(initial=0.0))
    error = difference / largest if difference else 0.0
    worst[name], counted[name] = max(worst.get(name, 0.0), error), counted.get(name, 0) + 1
    assert error < BOUND, f"{name}: {error}"
