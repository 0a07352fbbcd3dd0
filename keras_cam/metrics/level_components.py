"""The connected components of an image at every threshold, in one pass.

Searching for contours at each of 256 levels looks at every pixel 256 times. Here each is looked at once: it
climbs to a peak, which splits the image into one basin a peak; what a basin contributes at each level is a
cumulative minimum; and components are basins joined over their passes, highest pass first.

Where pixels are neighbours at corners, too, the four of a 2x2 block are always connected, so the blocks take
the place of the pixels: a quarter of the work, and the same components.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FINE = 16
"""Bits of a key below its level: they only tell which of two pixels of a level is the higher one."""

_NONE = -1

# Levels go up to that of a frame around 256 of them.
_LEVEL_BITS = 9


class LevelComponents(NamedTuple):
    """Components of `level > t` for t = 0, 1, ..., T - 1; component `b` exists for first[b] <= t < end[b].

    Attributes:
        first: int64 (B,), the lowest level at which the component is one of its own.
        end: int64 (B,), its highest value: from this level on nothing of it is left.
        bounds: int16 (B, T, 4), the extreme pixels `min x, min y, -max x, -max y`; meaningless outside
            the levels at which the component exists.
        counts: int64 (B, T), how many of the given marks are above the level in it.
    """

    first: NDArray[np.int64]
    end: NDArray[np.int64]
    bounds: NDArray[np.int16]
    counts: NDArray[np.int64]

    def exists(self) -> NDArray[np.bool_]:
        """Which component is there at which level: bool (B, T)."""
        levels = np.arange(self.bounds.shape[1])
        return (levels >= self.first[:, None]) & (levels < self.end[:, None])


class _Nodes(NamedTuple):
    """What is always connected, as a grid: single pixels, or 2x2 blocks.

    `values` (h, w): the highest key of each node. `links`: for each of `steps`, a way to an earlier node, the
    highest key at which both are connected. `rows` (H, w) and `columns` (W, h): the highest key of each
    node in each row and column of pixels.
    """

    values: NDArray[np.int32]
    steps: tuple[tuple[int, int], ...]
    links: list[NDArray[np.int32]]
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]


def level_components(
    keys: NDArray[np.int32], connectivity: int = 8, marks: NDArray[np.uint8] | None = None
) -> LevelComponents:
    """Find the components of `keys >> FINE > t` for every level t at once.

    Args:
        keys: int32 (H, W): the level, 0 to 511, and `FINE` more bits that may tell pixels of one level
            apart. The more they do, the fewer basins there are, with the same result.
        connectivity: 4 or 8.
        marks: for connectivity 8, a level at the upper left pixel of each 2x2 block to count: uint8
            (h, w) with h <= (H + 1) // 2, w <= (W + 1) // 2, not above that of the block.

    Example:

    >>> import numpy as np
    >>> image = np.array([[1, 1, 3, 1, 1, 2]], "int32")
    >>> components = level_components(image << FINE)
    >>> components.first.tolist(), components.end.tolist()  # the peak of 2 stands alone at level 1
    ([0, 1], [3, 2])
    >>> components.bounds[0].tolist()  # levels 0, 1 and 2
    [[0, 0, -5, 0], [2, 0, -2, 0], [2, 0, -2, 0]]
    """
    nodes = _blocks(keys) if connectivity == 8 else _pixels(keys)
    basins, peaks = _basins(nodes)
    end = (peaks >> FINE).astype(np.int64)
    high = int(end.max()) + 1
    bounds = _bounds(nodes, basins, len(end), high)
    counts = np.zeros((len(end), high - 1), np.int64)
    if marks is not None:
        cells = basins[: marks.shape[0], : marks.shape[1]] * high + marks
        counts = _above(np.add, np.bincount(cells.ravel(), minlength=len(end) * high).reshape(-1, high))
    first = np.zeros_like(end)
    for lower, higher, level in _joins(nodes, basins, end):
        first[lower] = level
        np.minimum(bounds[higher, :level], bounds[lower, :level], out=bounds[higher, :level])
        counts[higher, :level] += counts[lower, :level]
    return LevelComponents(first, end, bounds, counts)


def _pixels(keys: NDArray[np.int32]) -> _Nodes:
    links = [np.minimum(keys[1:], keys[:-1]), np.minimum(keys[:, 1:], keys[:, :-1])]
    return _Nodes(keys, ((-1, 0), (0, -1)), links, keys, np.ascontiguousarray(keys.T))


def _blocks(keys: NDArray[np.int32]) -> _Nodes:
    height, width = keys.shape
    if height % 2 or width % 2:
        keys = np.pad(keys, ((0, height % 2), (0, width % 2)), constant_values=_NONE)
    corners = [np.ascontiguousarray(keys[down::2, right::2]) for down in (0, 1) for right in (0, 1)]
    upper_left, upper_right, lower_left, lower_right = corners
    top, bottom = np.maximum(upper_left, upper_right), np.maximum(lower_left, lower_right)
    left, right = np.maximum(upper_left, lower_left), np.maximum(upper_right, lower_right)
    links = [
        np.minimum(upper_left[1:, 1:], lower_right[:-1, :-1]),
        np.minimum(top[1:], bottom[:-1]),
        np.minimum(upper_right[1:, :-1], lower_left[:-1, 1:]),
        np.minimum(left[:, 1:], right[:, :-1]),
    ]
    rows = np.stack([top, bottom], axis=1).reshape(-1, top.shape[1])[:height]
    columns = np.stack([left.T, right.T], axis=1).reshape(-1, top.shape[0])[:width]
    steps = ((-1, -1), (-1, 0), (-1, 1), (0, -1))
    return _Nodes(np.maximum(top, bottom), steps, links, rows, columns)


def _ends(step: tuple[int, int], shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a step to an earlier node starts, and where it ends."""
    down, right = step
    height, width = shape
    here = (slice(-down, None), slice(max(-right, 0), width - max(right, 0)))
    there = (slice(height + down), slice(max(right, 0), width - max(-right, 0)))
    return here, there


def _basins(nodes: _Nodes) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Which peak each node climbs to (h, w), without ever going down, and the keys of the peaks.

    Of equal nodes the later one counts as higher, so there is always exactly one way up.
    """
    values = nodes.values
    best, way = np.full_like(values, _NONE), np.zeros_like(values)

    def look(at: tuple[slice, slice], seen: NDArray[np.int32], step: int) -> None:
        np.copyto(way[at], step, where=seen >= best[at])
        np.maximum(best[at], seen, out=best[at])

    # From the earliest neighbour to the latest. A node is left only if all of it is connected with the next.
    width = values.shape[1]
    steps = [(_ends(step, values.shape), step[0] * width + step[1]) for step in nodes.steps]
    for ((here, there), step), link in zip(steps, nodes.links, strict=True):
        look(here, np.where(link == values[here], values[there], _NONE), step)
    look((slice(None), slice(None)), values, 0)
    for ((here, there), step), link in zip(reversed(steps), reversed(nodes.links), strict=True):
        look(there, np.where(link == values[there], values[here], _NONE), -step)

    tops = np.flatnonzero(way == 0)
    way = (way.ravel() + np.arange(way.size, dtype=np.int32)).astype(np.intp)
    while True:  # doubling the steps: a path across the whole image takes 8 rounds
        further = way[way]
        if np.array_equal(further, way):
            break
        way = further
    label = np.zeros(values.size, np.int32)
    label[tops] = np.arange(len(tops), dtype=np.int32)
    return label[way].reshape(values.shape), values.ravel()[tops]


def _bounds(nodes: _Nodes, basins: NDArray[np.int32], count: int, high: int) -> NDArray[np.int16]:
    """Extreme pixels (count, T, 4) of each basin's part above each level."""
    lowest = np.full((4, count * high), np.iinfo(np.int16).max, np.int16)
    for axis, (lines, labels) in enumerate(((nodes.columns, basins.T), (nodes.rows, basins))):
        # At level t a basin reaches a line if its highest value there is above t. Along a line it mostly is
        # one run.
        length = lines.shape[1]
        labels = np.repeat(labels, 2, axis=0)[: len(lines)] if len(lines) != len(labels) else labels
        new = np.ones(lines.shape, bool)
        np.not_equal(labels[:, 1:], labels[:, :-1], out=new[:, 1:])
        starts = np.flatnonzero(new)
        highest = np.maximum.reduceat(lines.ravel(), starts) >> FINE
        cells = labels.ravel()[starts] * high + highest
        line = (starts // length).astype(np.int16)
        inside = highest >= 0
        np.minimum.at(lowest[axis], cells[inside], line[inside])
        np.minimum.at(lowest[axis + 2], cells[inside], -line[inside])
    return _above(np.minimum, np.ascontiguousarray(lowest.T).reshape(count, high, 4))


def _above(accumulate: np.ufunc, by_value: NDArray) -> NDArray:
    """From what has a value to what is above each level, along the second axis."""
    return np.ascontiguousarray(accumulate.accumulate(by_value[:, :0:-1], axis=1)[:, ::-1])


def _joins(
    nodes: _Nodes, basins: NDArray[np.int32], peaks: NDArray[np.int64]
) -> Iterator[tuple[int, int, int]]:
    """Yield `(lower, higher, level)`, highest first: two components are one below that level."""
    count = len(peaks)
    codes = []
    for step, link in zip(nodes.steps, nodes.links, strict=True):
        here, there = _ends(step, basins.shape)
        border = np.flatnonzero(basins[here] != basins[there])
        sides = [basins[at].ravel()[border].astype(np.int64) for at in (here, there)]
        pair = np.minimum(*sides) * count + np.maximum(*sides)
        codes.append(pair << _LEVEL_BITS | np.maximum(link.ravel()[border] >> FINE, 0))
    code = np.sort(np.concatenate(codes))
    # Of each pair the highest link; of these the highest first.
    code = code[np.append(np.diff(code >> _LEVEL_BITS), 1)[: len(code)] > 0]
    level = code & ((1 << _LEVEL_BITS) - 1)
    order = np.argsort(-level, kind="stable")
    leader, height = list(range(count)), peaks.tolist()
    for linked, at in zip((code[order] >> _LEVEL_BITS).tolist(), level[order].tolist(), strict=True):
        one, other = (_leader(leader, basin) for basin in divmod(linked, count))
        if one == other:
            continue
        lower, higher = (one, other) if height[one] < height[other] else (other, one)
        leader[lower] = higher
        yield lower, higher, at


def _leader(leader: list[int], basin: int) -> int:
    while leader[basin] != basin:
        leader[basin] = basin = leader[leader[basin]]  # halves the path for the next one
    return basin
