"""Connected components of a bilinearly interpolated surface, found on its coarse grid."""

from typing import Any

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
        int32 tensor (height * width, 8).

    Example:

    >>> neighbour_table(1, 3)[1].numpy().tolist()
    [1, 0, 2, 1, 0, 2, 0, 2]
    """
    nodes = ops.arange(height * width, dtype="int32")
    rows, columns = nodes // width, nodes % width
    table = [
        ops.clip(rows + dy, 0, height - 1) * width + ops.clip(columns + dx, 0, width - 1)
        for dy, dx in NEIGHBOURS
    ]
    return ops.stack(table, axis=1)


def surface_components(excess: Any, table: Any) -> Any:
    """Label the connected components of the region where a bilinear surface is positive.

    The surface interpolates the nodes of a grid. Within a cell it has no maximum of its own, so every
    component contains nodes, and which nodes belong together is decided by the cells: two nodes joined by
    a grid edge are connected when both are positive; two across a cell also when the saddle of the cell is
    positive, which for positive `a`, `d` and opposite corners `b`, `c` means `a * d > b * c`. No pixel of
    the surface is ever computed.

    Args:
        excess: float tensor (M, N), the N = h * w nodes of each of M surfaces, minus their thresholds.
        table: int32 tensor (N, 8) from `neighbour_table(h, w)`.

    Returns:
        int32 tensor (M, N): two positive nodes have the same label exactly if they are connected. A label
        is the index, in the flattened (M * N,) nodes, of the component's last node; a node that is not
        positive has its own index.

    Example: two positive corners with a low saddle between them, then with a high one.

    >>> import numpy as np
    >>> table = neighbour_table(2, 2)
    >>> surface_components(np.array([[1.0, -2.0, -2.0, 1.0], [2.0, -1.0, -1.0, 2.0]]), table).numpy().tolist()
    [[0, 1, 2, 3], [7, 5, 6, 7]]
    """
    surfaces, nodes = ops.shape(excess)
    around = ops.take(excess, table, axis=1)  # (M, N, 8)
    diagonal = around[..., 4:]
    vertical = ops.take(around, VERTICAL_OF_DIAGONAL, axis=-1)
    horizontal = ops.take(around, HORIZONTAL_OF_DIAGONAL, axis=-1)
    node = excess[..., None]
    over_saddle = ops.logical_and(diagonal > 0, node * diagonal > vertical * horizontal)
    joined = ops.logical_and(node > 0, ops.concatenate([around[..., :4] > 0, over_saddle], axis=-1))
    own = ops.reshape(ops.arange(surfaces * nodes, dtype="int32"), (surfaces, nodes))

    # Every node takes the largest label around it, then the label of the node that label names: the second
    # step doubles the distance a label has travelled, so a handful of rounds settles any shape.
    def spread(labels: Any, _: Any) -> tuple[Any, Any]:
        reached = ops.where(joined, ops.take(labels, table, axis=1), -1)
        larger = ops.maximum(labels, ops.max(reached, axis=-1))
        settled = ops.take(ops.reshape(larger, (-1,)), larger)
        return settled, ops.any(ops.not_equal(settled, labels))

    labels, _ = ops.while_loop(lambda _, changed: changed, spread, (own, ops.any(joined)))
    return labels
