"""Connected components of a bilinearly interpolated surface, found on its coarse grid."""

from typing import Any

import tensorflow as tf  # `tf.gather`: `keras.ops.take` mends negative indices each time, a cost in a loop
from keras import ops

# The eight neighbours of a grid node as (dy, dx): up, left, right, down, then the four diagonals.
# A diagonal neighbour shares its cell with one vertical and one horizontal neighbour, listed below.
NEIGHBOURS = ((-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))
VERTICAL_OF_DIAGONAL = (0, 0, 3, 3)
HORIZONTAL_OF_DIAGONAL = (1, 2, 1, 2)


def neighbour_table(height: Any, width: Any) -> Any:
    """Flat indices of the eight neighbours of every node of a grid, in the order of `NEIGHBOURS`.

    Beyond the border the border node itself is repeated, as an image resize does.

    Args:
        height: int or scalar integer tensor, the rows of the grid.
        width: int or scalar integer tensor, the columns of the grid.

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
    """Whether the surface connects each node to its diagonal neighbours inside their common cell.

    With two opposite corners `a`, `d` above the level and `b`, `c` below it, they are connected if the saddle
    `(ad - bc) / (a + d - b - c)` of the bilinear surface is above it too: relative to the level, if
    `a * d > b * c`.

    Args:
        excess: float tensor (N, M), the nodes of M surfaces relative to the level.
        around: float tensor (8, N, M), their neighbours.

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
        joined: bool tensor (8, N, M), whether a node and its neighbour belong together, in each of M grids
            of N nodes; the same from both sides.
        table: int32 tensor (8, N) from `neighbour_table`.

    Returns:
        int32 tensor (N, M): two nodes of a grid have the same label exactly if they are connected. A label
        is the index of the component's last node in the flattened (N * M,) nodes.

    Examples: three nodes in a row, the first two joined.
        >>> import numpy as np
        >>> joined = np.zeros((8, 3, 1), bool)
        >>> joined[2, 0] = joined[1, 1] = True  # right of the first, left of the second
        >>> connected_components(joined, neighbour_table(1, 3)).numpy().ravel().tolist()
        [1, 1, 2]
    """
    _, nodes, grids = ops.shape(joined)
    own = ops.reshape(ops.arange(nodes * grids, dtype="int32"), (nodes, -1))

    # Every node takes the largest label around it, then the label of the node that label names: the second
    # step doubles the distance a label has travelled, so a handful of rounds settles most shapes.
    def spread(labels: Any, _: Any) -> tuple[Any, Any]:
        around = ops.where(joined, tf.gather(labels, table, axis=0), -1)
        larger = ops.maximum(labels, ops.max(around, axis=0))
        settled = tf.gather(ops.reshape(larger, (-1,)), larger)
        return settled, ops.any(ops.not_equal(settled, labels))

    labels, _ = ops.while_loop(lambda _, changed: changed, spread, (own, True))
    return labels
