"""Cuboids around the connected components of maps of volumes."""

from math import prod
from typing import Any

from keras import ops

from keras_cam.ops.boxes import level_of
from keras_cam.recipes import THRESHOLD


def cuboids_from_maps(
    maps: Any, threshold: Any = THRESHOLD, max_boxes: int = 1, least_size: float = 0.0
) -> tuple[Any, Any]:
    """The cuboids that enclose the largest components of maps above a threshold.

    Two cells belong together if they share a face. Unlike the boxes of `boxes_from_maps`, cuboids consist of
    whole cells.

    Args:
        maps: float tensor (B, K, d, h, w).
        threshold: the fraction of a map's maximum that values inside exceed: a float in [0, 1), or one for
            each map, (K,) or (B, K).
        max_boxes: int, the number of components, largest first.
        least_size: float in [0, 1), the fraction of the largest component's cells that others must exceed.

    Returns:
        `(cuboids, found)`: float32 (B, K, max_boxes, 6) as `zmin, ymin, xmin, zmax, ymax, xmax` in [0, 1] of
        the volume, zeros where there is none; bool (B, K, max_boxes).

    Examples:
        >>> import numpy as np
        >>> maps = np.zeros((1, 1, 4, 2, 2), "float32")
        >>> maps[0, 0, 1:3, 0, 1] = 1.0
        >>> cuboids, found = cuboids_from_maps(maps)
        >>> cuboids.numpy()[0, 0, 0].tolist(), bool(found[0, 0, 0])
        ([0.25, 0.0, 0.5, 0.75, 0.5, 1.0], True)
    """
    batch, classes, *grid = ops.shape(maps)
    flat = ops.reshape(ops.cast(maps, "float32"), (-1, prod(grid)))
    level = level_of(flat, flat, ops.broadcast_to(threshold, (batch, classes)))
    inside = ops.reshape(flat > level, (-1, *grid))
    labels = _components(inside)
    sizes, roots = _largest(ops.reshape(labels, (-1, prod(grid))), max_boxes)
    member = ops.equal(labels[..., None], ops.reshape(roots, (-1, 1, 1, 1, max_boxes)))
    sizes = ops.cast(sizes, "float32")
    found = sizes > least_size * sizes[:, :1]
    cuboids = ops.where(found[..., None], _extents(member), 0.0)
    return (
        ops.reshape(cuboids, (-1, classes, max_boxes, 6)),
        ops.reshape(found, (-1, classes, max_boxes)),
    )


def _components(inside: Any) -> Any:
    """A label for each cell inside, the same for connected ones: the largest number of a cell, from 1."""
    _, *grid = ops.shape(inside)
    own = ops.reshape(ops.arange(1, prod(grid) + 1, dtype="int32"), (1, *grid))

    def spread(labels: Any, _: Any) -> tuple[Any, Any]:
        larger = labels
        for axis in (1, 2, 3):
            for step in (-1, 1):
                larger = ops.maximum(larger, _shifted(labels, axis, step))
        larger = ops.where(inside, larger, 0)
        return larger, ops.any(ops.not_equal(larger, labels))

    labels, _ = ops.while_loop(lambda _, changed: changed, spread, (ops.where(inside, own, 0), True))
    return labels


def _shifted(labels: Any, axis: int, step: int) -> Any:
    """The labels of the cells one step further along an axis; 0 beyond the end."""
    rank = len(labels.shape)
    padded = ops.pad(labels, [(max(-step, 0), max(step, 0)) if i == axis else (0, 0) for i in range(rank)])
    kept = slice(1, None) if step > 0 else slice(None, -1)
    return padded[tuple(kept if i == axis else slice(None) for i in range(rank))]


def _largest(labels: Any, count: int) -> tuple[Any, Any]:
    """The numbers of cells and the labels of the largest components, (M, count) each."""
    volumes, cells = ops.shape(labels)
    first = ops.arange(volumes, dtype="int32")[:, None] * (cells + 1)
    numbers = ops.reshape(labels + first, (-1,))
    sizes = ops.segment_sum(ops.ones_like(numbers), numbers, num_segments=volumes * (cells + 1))
    sizes = ops.reshape(sizes, (-1, cells + 1))[:, 1:]  # 0 is outside
    sizes, cell = ops.top_k(ops.pad(sizes, ((0, 0), (0, count - 1))), count)
    return sizes, cell + 1


def _extents(member: Any) -> Any:
    """From members (M, d, h, w, count) to the corners of their cuboids (M, count, 6) in [0, 1]."""
    starts, ends = [], []
    for axis in (1, 2, 3):
        others = [one for one in (1, 2, 3) if one != axis]
        along = ops.any(member, axis=others)  # (M, n, count)
        size = ops.shape(along)[1]
        cells = ops.arange(size, dtype="float32")[None, :, None]
        length = ops.cast(size, "float32")
        starts.append(ops.min(ops.where(along, cells, length), axis=1) / length)
        ends.append(ops.max(ops.where(along, cells + 1, 0.0), axis=1) / length)
    return ops.stack([*starts, *ends], axis=-1)
