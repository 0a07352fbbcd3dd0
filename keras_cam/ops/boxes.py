"""Boxes from class activation maps: threshold, connected components, bounding boxes."""

from typing import Any

import numpy as np
import tensorflow as tf  # `tf.gather` and `tf.reduce_max`, as in `components.py`
from keras import ops

from keras_cam.ops.components import (
    HORIZONTAL_OF_DIAGONAL,
    VERTICAL_OF_DIAGONAL,
    connected_components,
    neighbour_table,
    over_saddles,
)
from keras_cam.recipes import THRESHOLD

# The area of a cell is integrated by Gauss-Legendre quadrature: the lengths along these lines are exact, and
# the lines are denser near the grid, where narrow peaks lie.
_LINES, _WEIGHTS = ((np.polynomial.legendre.leggauss(8)[part] + (1 - part)) / 2 for part in (0, 1))

# The area of a component that no line crosses; it must be positive for the component to be found.
_TINY = 1e-6

# A map is constant up to rounding if its range is smaller than this fraction of its maximum.
_FLAT = 1e-6


def boxes_from_maps(
    maps: Any,
    threshold: Any = THRESHOLD,
    max_boxes: int = 1,
    image_size: tuple[Any, Any] | None = None,
    least_area: float = 0.0,
) -> tuple[Any, Any]:
    """Bounding boxes of the largest connected components above a fraction of each map's maximum.

    Each map is treated as a bilinearly interpolated surface (half-pixel centres). Components and their
    extents are computed on the map's own grid, so the cost does not depend on the size of the image. A map
    that is constant or has no positive value has no box.

    Args:
        maps: float tensor (B, K, h, w), raw class activation maps.
        threshold: float in [0, 1), the fraction of the maximum that values must exceed; or a tensor that
            broadcasts to (B, K).
        max_boxes: int, the number of components to return for each map, largest area first.
        image_size: (height, width) in pixels: boxes are those of the map upsampled to this size, sampled at
            pixel centres, so details thinner than a pixel are lost. None: boxes of the continuous surface.
        least_area: float in [0, 1), the fraction of the largest component's area that others must exceed.

    Returns:
        `(boxes_yxyx, found)`: float32 (B, K, max_boxes, 4) as `ymin, xmin, ymax, xmax` in [0, 1] of the
        image, zeros where there is no box; bool (B, K, max_boxes).

    Reference:
        Zhou et al., CVPR 2016, section 3.2: 20 % of the maximum, the box that covers the largest component.

    Examples:
        >>> import numpy as np
        >>> maps = np.zeros((1, 1, 4, 4), "float32")
        >>> maps[0, 0, 1, 2] = 1.0  # the surface falls to 0.5 half a cell from the node
        >>> boxes, found = boxes_from_maps(maps, threshold=0.5)
        >>> boxes.numpy()[0, 0, 0].tolist(), bool(found[0, 0, 0])
        ([0.25, 0.5, 0.5, 0.75], True)
    """
    batch, classes, height, width = ops.shape(maps)
    # Below, -1 stands for the number of surfaces, batch * classes: computing it would cost operations.
    maps = ops.reshape(ops.cast(maps, "float32"), (-1, height * width))
    rows = _beside_nodes(height, None if image_size is None else image_size[0])
    columns = _beside_nodes(width, None if image_size is None else image_size[1])
    samples = _interpolated(ops.reshape(maps, (-1, height, width)), rows, columns)
    if not isinstance(threshold, float | int):
        threshold = ops.broadcast_to(threshold, (batch, classes))
    level = level_of(maps, samples, threshold)

    # From here on the layout is (N nodes, M surfaces), so that gathers copy contiguous rows of memory.
    table = neighbour_table(height, width)
    excess = ops.transpose(maps - level)
    around = tf.gather(excess, table, axis=0)
    sides = _sides(ops.reshape(samples - level, (-1, width, 2, height, 2)))
    facing = _facing(sides, table)
    edges = ops.any(ops.logical_and(sides > 0, facing > 0), axis=2)
    labels = connected_components(ops.concatenate([edges, over_saddles(excess, around)], axis=0), table)

    inside = tf.reduce_max(sides, axis=(0, 2)) > 0
    areas = ops.where(inside, ops.maximum(_node_areas(excess, around), _TINY), 0.0)
    largest, roots = _largest(areas, labels, max_boxes)
    member = ops.logical_and(inside[:, :, None], labels[:, :, None] == roots)  # (N, M, max_boxes)
    reach = _reach(sides, facing, rows, columns)[..., None]
    up, left, right, down = ops.unstack(tf.reduce_max(ops.where(member, reach, -1.0), axis=1), 4, axis=0)
    boxes = ops.stack([1 - up, 1 - left, down, right], axis=-1)  # (M, max_boxes, 4)
    found = largest > least_area * largest[:, :1]
    boxes = ops.where(found[..., None], ops.clip(boxes, 0.0, 1.0), 0.0)
    return (
        ops.reshape(boxes, (-1, classes, max_boxes, 4)),
        ops.reshape(found, (-1, classes, max_boxes)),
    )


def _beside_nodes(length: Any, pixels: Any) -> Any:
    """Positions of the pixel centres just before and after each node, in grid units: (length, 2)."""
    nodes = ops.arange(length, dtype="float32")
    if pixels is None:
        return ops.stack([nodes, nodes], axis=1)
    size = ops.cast(pixels, "float32") / ops.cast(length, "float32")
    centre = (nodes + 0.5) * size - 0.5
    nearest = ops.stack([ops.floor(centre), ops.ceil(centre)], axis=1)
    return (nearest + 0.5) / size - 0.5


def _interpolated(maps: Any, rows: Any, columns: Any) -> Any:
    """The surfaces (M, h, w) sampled at all row positions (h, 2) and column positions (w, 2).

    Computed by two unbatched matrix products, which are much cheaper than batched ones at these sizes.

    Returns:
        (M, 2w * 2h), columns first.
    """
    _, height, width = ops.shape(maps)
    across = ops.matmul(ops.reshape(maps, (-1, width)), _hats(columns, width))
    across = ops.transpose(ops.reshape(across, (-1, height, 2 * width)), (0, 2, 1))
    down = ops.matmul(ops.reshape(across, (-1, height)), _hats(rows, height))
    return ops.reshape(down, (-1, 4 * width * height))


def _hats(positions: Any, length: Any) -> Any:
    """The linear interpolation weights from nodes to positions: a matrix (length, 2 * length)."""
    inner = ops.clip(ops.reshape(positions, (1, -1)), 0.0, ops.cast(length - 1, "float32"))
    return ops.relu(1.0 - ops.absolute(inner - ops.arange(length, dtype="float32")[:, None]))


def level_of(maps: Any, samples: Any, threshold: Any) -> Any:
    """The threshold as a value of each map, (M, 1); 3e38 for a map that has no box.

    Args:
        maps: float32 (M, N), the values at the nodes, by which a map is constant or not.
        samples: float32 (M, S), the values of which the maximum counts.
        threshold: the fraction of this maximum: a float, or a tensor of M elements.
    """
    highest = tf.reduce_max(samples, axis=1, keepdims=True)
    spread = tf.reduce_max(maps, axis=1, keepdims=True) - tf.reduce_min(maps, axis=1, keepdims=True)
    has_box = ops.logical_and(highest > 0, spread > _FLAT * highest)
    return ops.where(has_box, highest * ops.reshape(threshold, (-1, 1)), 3e38)


def _sides(samples: Any) -> Any:
    """The two samples on the upper, left, right and lower side of each node: (4, N, 2, M)."""
    _, width, _, height, _ = ops.shape(samples)
    by_row = ops.transpose(samples, (4, 3, 1, 2, 0))  # row of the sample, h, w, its column, M
    by_column = ops.transpose(samples, (2, 3, 1, 4, 0))
    sides = ops.concatenate([by_row[:1], by_column, by_row[1:]], axis=0)
    return ops.reshape(sides, (4, height * width, 2, -1))


def _facing(sides: Any, table: Any) -> Any:
    """For each side, the neighbour's samples that face it; at the border, the side itself."""
    nodes = ops.shape(sides)[1]
    side = ops.arange(4, dtype="int32")[:, None]
    itself = ops.arange(nodes, dtype="int32")
    source = ops.where(table[:4] == itself, side, 3 - side) * nodes + table[:4]
    return tf.gather(ops.reshape(sides, (4 * nodes, 2, -1)), source, axis=0)


def _node_areas(excess: Any, around: Any) -> Any:
    """Divide the positive area of each cell among its positive nodes: (N, M), in cells.

    All positive corners of a cell belong to one component (except two opposite corners separated by a
    negative saddle, which get half each), so the sum over a component's nodes is its area. An interior cell
    is visited from its four nodes. Half cells at the border are visited from two nodes and quarter cells
    from one, with repeated corners, which gives the right area.
    """
    vertical = tf.gather(around, VERTICAL_OF_DIAGONAL, axis=0)
    horizontal = tf.gather(around, HORIZONTAL_OF_DIAGONAL, axis=0)
    diagonal = around[4:]
    positive = [ops.cast(corner > 0, "float32") for corner in (excess, vertical, horizontal, diagonal)]
    lines, weights = (np.reshape(x, (-1, 1, 1, 1)).astype("float32") for x in (_LINES, _WEIGHTS))
    start = excess + (vertical - excess) * lines
    end = horizontal + (diagonal - horizontal) * lines
    part = ops.maximum(start, end) / ops.maximum(ops.absolute(end - start), 1e-30)
    covered = ops.sum(ops.clip(part, 0.0, 1.0) * weights, axis=0)  # (4, N, M)
    shared = covered / ops.maximum(sum(positive), 1.0)
    return ops.sum(shared, axis=0) * positive[0]


def _largest(areas: Any, labels: Any, count: int) -> tuple[Any, Any]:
    """Areas and labels of the largest components of each surface: two tensors (M, count)."""
    nodes, surfaces = ops.shape(areas)
    totals = ops.segment_sum(
        ops.reshape(areas, (-1,)), ops.reshape(labels, (-1,)), num_segments=nodes * surfaces
    )
    totals = ops.transpose(ops.reshape(totals, (nodes, -1)))
    # Padded, because `count` may exceed the number of nodes of a small map.
    largest, node = ops.top_k(ops.pad(totals, ((0, 0), (0, count - 1))), count)
    return largest, node * surfaces + ops.arange(surfaces, dtype="int32")[:, None]


def _reach(sides: Any, facing: Any, rows: Any, columns: Any) -> Any:
    """How far the positive region around each node extends up, left, right and down: (4, N, M).

    Distances are measured from the opposite border of the image, whose side has length 1. The extremes of a
    region lie on grid edges, where the surface is linear.
    """
    height, width = ops.shape(rows)[0], ops.shape(columns)[0]
    starts, ends = [], []
    for positions, length in ((rows, height), (columns, width)):
        size = ops.cast(length, "float32")
        # Not `(size - 0.5)[None]`: OpenVINO reads this wrongly from a SavedModel.
        forward = (ops.concatenate([positions[1:, 0], ops.reshape(size - 0.5, (1,))]) + 0.5) / size
        backward = 1 - (ops.concatenate([ops.full((1,), -0.5), positions[:-1, 1]]) + 0.5) / size
        positions = (positions + 0.5) / size
        starts.append((1 - positions[:, 0], positions[:, 1]))
        ends.append((backward, forward))
    start, end = (
        ops.stack(
            [
                ops.repeat(by_row[0], width),
                ops.tile(by_column[0], [height]),
                ops.tile(by_column[1], [height]),
                ops.repeat(by_row[1], width),
            ]
        )[..., None]
        for by_row, by_column in (starts, ends)
    )
    # Towards a positive neighbour the region extends at least to that node, or to the image border.
    # Without `where`: ONNX Runtime makes NaN of an infinite value that is not selected.
    inside, outside = ops.relu(sides), ops.relu(-facing)
    part = tf.reduce_max(inside / ops.maximum(inside + outside, 1e-37), axis=2)
    return start + (end - start) * part
