"""Connected components of a bilinearly interpolated surface, found on its coarse grid."""

from typing import Any

# `tf.gather`: `keras.ops.take` also handles negative indices, which costs time. `tf.reduce_max`: `ops.max`
# refuses a batch of no image.
import tensorflow as tf
from keras import ops

# The eight neighbours of a grid node as (dy, dx): up, left, right, down, then the four diagonals.
# A diagonal neighbour shares its cell with one vertical and one horizontal neighbour, listed below.
NEIGHBOURS = ((-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))
VERTICAL_OF_DIAGONAL = (0, 0, 3, 3)
HORIZONTAL_OF_DIAGONAL = (1, 2, 1, 2)


def neighbour_table(height: Any, width: Any) -> Any:
    """Flat indices of the eight neighbours of every node of a grid, in the order of `NEIGHBOURS`.

    A neighbour beyond the border is the nearest node inside, as in image resizing.

    Args:
        height: int or scalar integer tensor, the number of rows.
        width: int or scalar integer tensor, the number of columns.

    Returns:
        int32 tensor (8, height * width).

    Examples:
        >>> neighbour_table(1, 3).numpy()[:, 1].tolist()
        [1, 0, 2, 1, 0, 2, 0, 2]
    """
    nodes = ops.arange(height * width, dtype="int32")
    rows, columns = nodes // width, nodes % width
    table = [
        ops.clip(rows + dy, 0, height - 1) * width + ops.clip(columns + dx, 0, width - 1)
        for dy, dx in NEIGHBOURS
    ]
    return ops.stack(table)


def over_saddles(excess: Any, around: Any) -> Any:
    """Whether each node is connected to its diagonal neighbours inside their common cell.

    Let `a`, `d` be opposite corners above the level and `b`, `c` the other two, below it, all relative to the
    level. `a` and `d` are connected if the saddle point of the bilinear surface is also above the level:
    `(ad - bc) / (a + d - b - c) > 0`, or `a * d > b * c`.

    Args:
        excess: float tensor (N, M), the values of M surfaces at N nodes, minus the level.
        around: float tensor (8, N, M), the same at the eight neighbours.

    Returns:
        bool tensor (4, N, M), in the order of the diagonals in `NEIGHBOURS`.
    """
    vertical = tf.gather(around, VERTICAL_OF_DIAGONAL, axis=0)
    horizontal = tf.gather(around, HORIZONTAL_OF_DIAGONAL, axis=0)
    diagonal = around[4:]
    above = ops.logical_and(excess > 0, diagonal > 0)
    return ops.logical_and(above, excess * diagonal > vertical * horizontal)


def connected_components(joined: Any, table: Any) -> Any:
    """Label the connected components of grid nodes.

    Args:
        joined: bool tensor (8, N, M), whether a node is connected to each neighbour, in M grids of N nodes.
            It must be symmetric.
        table: int32 tensor (8, N) from `neighbour_table`.

    Returns:
        int32 tensor (N, M): two nodes of a grid have the same label if and only if they are connected. A
        label is the index of the component's last node in the flattened (N * M,) nodes.

    Examples: three nodes in a row, the first two joined.
        >>> import numpy as np
        >>> joined = np.zeros((8, 3, 1), bool)
        >>> joined[2, 0] = joined[1, 1] = True  # right of the first, left of the second
        >>> connected_components(joined, neighbour_table(1, 3)).numpy().ravel().tolist()
        [1, 1, 2]
    """
    _, nodes, grids = ops.shape(joined)
    own = ops.reshape(ops.arange(nodes * grids, dtype="int32"), (nodes, -1))

    # Every node takes the largest label around it, then the label of the node with that index. The second
    # step doubles the distance that labels travel, so most shapes converge in a few iterations.
    def spread(labels: Any, _: Any) -> tuple[Any, Any]:
        around = ops.where(joined, tf.gather(labels, table, axis=0), -1)
        larger = ops.maximum(labels, tf.reduce_max(around, axis=0))
        settled = tf.gather(ops.reshape(larger, (-1,)), larger)
        return settled, ops.any(ops.not_equal(settled, labels))

    labels, _ = ops.while_loop(lambda _, changed: changed, spread, (own, True))
    return labels
