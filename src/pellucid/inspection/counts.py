"""What one recorded call costs, by the convention of `ops.counting`.

MACs are dense multiply-adds: a convolution makes one per output and weight of its filter, a transposed one per *input*
and weight, a linear layer or matrix product one per output and term. Everything else makes none. Bytes are what must be
moved at least when nothing is in the cache: what goes in, the learned numbers, what comes out; a view moves nothing.
"""

from collections.abc import Sequence

from torch import Tensor, nn

__all__ = ["VIEWS", "bytes_moved", "macs"]

CONVOLUTIONS = {"conv1d", "conv2d", "conv3d"}
TRANSPOSED = {"conv_transpose1d", "conv_transpose2d", "conv_transpose3d"}
PRODUCTS = {"matmul", "mm", "bmm", "mv"}
UNCOUNTED = {"einsum", "tensordot", "scaled_dot_product_attention", "multi_head_attention_forward", "bilinear"}
"""Kinds that multiply and whose MACs are not counted here; they are said to be unknown, not 0."""
VIEWS = {"flatten", "getitem", "view", "reshape", "unflatten", "permute", "transpose", "chunk", "split", "unbind"} | {
    *("squeeze", "unsqueeze", "T", "mT", "detach", "expand", "dropout"),
}
"""Kinds that move nothing: they give the same memory in another shape. Dropout in evaluation mode gives it as it is."""


def macs(kind: str, tensors: Sequence[Tensor], output: Tensor) -> int | None:
    """Multiply-adds of a call with these tensors, in the order of its arguments; None where they are not known."""
    if kind in UNCOUNTED:
        return None
    if kind in CONVOLUTIONS:
        return output.numel() * tensors[1][0].numel()
    if kind in TRANSPOSED:
        return tensors[0].numel() * tensors[1][0].numel()
    if kind == "linear" or kind in PRODUCTS:
        return output.numel() * tensors[0].shape[-1]
    return 0


def bytes_moved(kind: str, tensors: Sequence[Tensor], outputs: Sequence[Tensor]) -> int:
    """`|X| + |W| + |b| + |Y|` times the size of a number; running statistics, which are not learned, are left out."""
    if kind in VIEWS:
        return 0
    read = tensors
    if kind == "batch_norm":
        read = [tensor for at, tensor in enumerate(tensors) if at == 0 or isinstance(tensor, nn.Parameter)]
    return sum(tensor.numel() * tensor.element_size() for tensor in (*read, *outputs))
