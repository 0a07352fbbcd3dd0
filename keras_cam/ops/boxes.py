"""Boxes from class activation maps: threshold, connected components, bounding boxes."""

from typing import Any

from keras import ops

from keras_cam.ops.components import (
    HORIZONTAL_OF_DIAGONAL,
    VERTICAL_OF_DIAGONAL,
    neighbour_table,
    surface_components,
)

# Where the area of a cell is measured: the midpoints of four strips. Along each line it is exact.
_LINES = (0.125, 0.375, 0.625, 0.875)

# A map whose values differ by less than this part of its maximum is constant up to rounding.
_FLAT = 1e-6


def boxes_from_maps(maps: Any, threshold: Any = 0.2, max_boxes: int = 1) -> tuple[Any, Any]:
    """Bounding boxes of the largest connected components above a part of each map's maximum.

    The map is taken as the surface that bilinear resizing (half-pixel centres) makes of it, at any
    resolution: the boxes are those of the upsampled map up to the rounding to pixels, without upsampling.
    A map without a positive value, or constant, has no box.

    Args:
        maps: float tensor (B, K, h, w), raw class activation maps.
        threshold: float in [0, 1), the part of the maximum that must be exceeded; or a tensor that
            broadcasts to (B, K).
        max_boxes: int, how many components to return for each map, the largest area first.

    Returns:
        `(boxes_yxyx, found)`: float32 (B, K, max_boxes, 4) as `ymin, xmin, ymax, xmax` in [0, 1] of the
        image, zeros where there is no box; bool (B, K, max_boxes).

    Reference:
        Zhou et al., CVPR 2016, section 3.2: 20 % of the maximum, the box that covers the largest component.

    Example:

    >>> import numpy as np
    >>> maps = np.zeros((1, 1, 4, 4), "float32")
    >>> maps[0, 0, 1, 2] = 1.0  # half a cell to the node, 0.5 to the level, in a grid of 4
    >>> boxes, found = boxes_from_maps(maps, threshold=0.5)
    >>> boxes.numpy()[0, 0, 0].tolist(), bool(found[0, 0, 0])
    ([0.25, 0.5, 0.5, 0.75], True)
    """
    maps = ops.cast(maps, "float32")
    batch, classes, height, width = ops.shape(maps)
    surfaces, nodes = batch * classes, height * width
    excess = ops.reshape(_excess(maps, threshold), (surfaces, nodes))
    table = neighbour_table(height, width)
    around = ops.take(excess, table, axis=1)  # (M, N, 8)

    labels = surface_components(excess, table)
    areas = ops.segment_sum(
        ops.reshape(_node_areas(excess, around), (-1,)),
        ops.reshape(labels, (-1,)),
        num_segments=surfaces * nodes,
    )
    # Padded, because a small map has fewer nodes than a caller may ask for boxes.
    areas = ops.pad(ops.reshape(areas, (surfaces, nodes)), ((0, 0), (0, max_boxes - 1)))
    largest, components = ops.top_k(areas, max_boxes)  # (M, max_boxes)

    components = components + ops.arange(surfaces, dtype="int32")[:, None] * nodes
    member = ops.logical_and(labels[:, None, :] == components[..., None], (excess > 0)[:, None, :])
    reach = ops.where(member[..., None], _reach(excess, around, height, width)[:, None], -1.0)
    up, left, right, down = ops.unstack(ops.max(reach, axis=2), 4, axis=-1)
    boxes = ops.stack([1 - up, 1 - left, down, right], axis=-1)
    found = largest > 0
    boxes = ops.where(found[..., None], ops.clip(boxes, 0.0, 1.0), 0.0)
    return (
        ops.reshape(boxes, (batch, classes, max_boxes, 4)),
        ops.reshape(found, (batch, classes, max_boxes)),
    )


def _excess(maps: Any, threshold: Any) -> Any:
    """How far each value lies above its map's threshold; -1 everywhere in a map that has no box."""
    highest = ops.max(maps, axis=(2, 3), keepdims=True)
    lowest = ops.min(maps, axis=(2, 3), keepdims=True)
    has_box = ops.logical_and(highest > 0, highest - lowest > _FLAT * highest)
    level = highest * ops.convert_to_tensor(threshold, "float32")[..., None, None]
    return ops.where(has_box, maps - level, -1.0)


def _node_areas(excess: Any, around: Any) -> Any:
    """Share the positive area of each cell among its positive nodes: (M, N), in cells.

    All positive corners of a cell belong to one component (but for two across a negative saddle, which get
    half each), so the sums over components are their areas. Each interior cell is met from its four nodes;
    half and quarter cells at the border are met by two and one with repeated corners, which comes out right.
    """
    node = excess[..., None]
    vertical = ops.take(around, VERTICAL_OF_DIAGONAL, axis=-1)
    horizontal = ops.take(around, HORIZONTAL_OF_DIAGONAL, axis=-1)
    diagonal = around[..., 4:]
    positive = [ops.cast(corner > 0, "float32") for corner in (node, vertical, horizontal, diagonal)]
    lines = ops.convert_to_tensor(_LINES, "float32")
    start = node[..., None] + (vertical - node)[..., None] * lines  # (M, N, 4, lines)
    end = horizontal[..., None] + (diagonal - horizontal)[..., None] * lines
    slope = ops.maximum(ops.absolute(end - start), 1e-30)
    covered = ops.mean(ops.clip(ops.maximum(start, end) / slope, 0.0, 1.0), axis=-1)
    shared = covered * positive[0] / ops.maximum(sum(positive), 1.0)
    return ops.sum(shared, axis=-1)


def _reach(excess: Any, around: Any, height: Any, width: Any) -> Any:
    """How far the positive region of each node goes up, left, right and down: (M, N, 4).

    Measured from the opposite side of the image, whose length is 1. A region's extremes lie on grid edges,
    where the surface is linear.
    """
    edges = around[..., :4]
    node = ops.maximum(excess, 0.0)[..., None]
    # Towards a positive neighbour the region goes on at least to that node, or to the border of the image.
    steps = ops.where(edges > 0, 1.0, node / ops.maximum(node - edges, 1e-30))
    index = ops.arange(height * width, dtype="int32")
    y = ops.cast(index // width, "float32") + 0.5
    x = ops.cast(index % width, "float32") + 0.5
    rows, columns = ops.cast(height, "float32"), ops.cast(width, "float32")
    centre = ops.stack([rows - y, columns - x, x, y], axis=-1)
    return (steps + centre) / ops.stack([rows, columns, columns, rows])
