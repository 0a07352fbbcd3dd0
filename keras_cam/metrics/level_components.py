"""The connected components of an image at every threshold, in one pass.

Searching for contours at each of 256 levels looks at every pixel 256 times. Here each is looked at once: it
climbs to a peak, which splits the image into one basin a peak; what a basin contributes at each level is a
cumulative minimum; and components are basins joined over their passes, highest pass first.

What is connected at every level takes the place of the pixels. Where pixels are neighbours at corners, too,
these are blocks of 2x2: a quarter of the work, and the same components. Elsewhere they are pairs in a row.

Keys are whole numbers in float32, which holds them exactly up to 2 ** 24. All work is on flat arrays whose
rows end with a node that is connected with nothing, so that neighbours are a fixed distance apart.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FINE = 11
"""Bits of a key below its level: they only tell which of two pixels of a level is the higher one."""

_NONE = -1.0

# Levels go up to that of a frame around 256 of them.
_LEVEL_BITS = 9

# A key and the direction in which it was seen are one number: four bits for 9 directions.
_DIRECTIONS = 16

# Paths of up to 64 nodes are looked for without looking whether there are any.
_USUAL_ROUNDS = 6

_CHUNK = 16

# More than any such number.
_FORBIDDEN = 2.0**24


class LevelComponents(NamedTuple):
    """Components of `level > t` for t = 0, 1, ..., T - 1; component `b` exists for first[b] <= t < end[b].

    Attributes:
        first: int64 (B,), the lowest level at which the component is one of its own.
        end: int64 (B,), its highest value: from this level on nothing of it is left.
        bounds: int16 (T, 4, B), the extreme pixels `min x, min y, -max x, -max y`; meaningless outside
            the levels at which the component exists.
        counts: int32 (T, B), how many of the given marks are above the level in it.
    """

    first: NDArray[np.int64]
    end: NDArray[np.int64]
    bounds: NDArray[np.int16]
    counts: NDArray[np.int32]

    def exists(self) -> NDArray[np.bool_]:
        """Which component is there at which level: bool (T, B)."""
        levels = np.arange(self.counts.shape[0])[:, None]
        return (levels >= self.first) & (levels < self.end)


class _Nodes(NamedTuple):
    """What is always connected, as a flat grid of `width` nodes a row, the last of them not real.

    `values` (N,): the highest key of each node. `steps`: how far back the earlier neighbours are, the
    farthest first; and `links`, for each of them (N - step,), the highest key at which a node is connected
    with it. `columns` and `rows`: the highest key of each node in each column of pixels that it has, (N,),
    and in each row.
    """

    width: int
    values: NDArray[np.float32]
    steps: tuple[int, ...]
    links: tuple[NDArray[np.float32], ...]
    columns: tuple[NDArray[np.float32], ...]
    rows: tuple[NDArray[np.float32], ...]


def level_components(
    keys: NDArray[np.float32], connectivity: int = 8, marks: NDArray[np.uint8] | None = None
) -> LevelComponents:
    """Find the components of `keys // 2 ** FINE > t` for every level t at once.

    Args:
        keys: float32 (H, W), whole numbers: the level, 0 to 256, and `FINE` more bits that may tell pixels of
            one level apart. The more they do, the fewer basins there are, with the same result.
        connectivity: 4 or 8.
        marks: for connectivity 8, a level at the upper left pixel of each 2x2 block to count: uint8
            (h, w) with h <= (H + 1) // 2, w <= (W + 1) // 2, not above that of the block.

    Example:

    >>> import numpy as np
    >>> image = np.array([[1, 1, 3, 1, 1, 2]], "float32")
    >>> components = level_components(image * 2**FINE)
    >>> components.first.tolist(), components.end.tolist()  # the peak of 2 stands alone at level 1
    ([0, 1], [3, 2])
    >>> components.bounds[:, :, 0].tolist()  # levels 0, 1 and 2
    [[0, 0, -5, 0], [2, 0, -2, 0], [2, 0, -2, 0]]
    """
    nodes = _blocks(keys) if connectivity == 8 else _pairs(keys)
    basins, end = _basins(nodes)
    levels, count = int(end.max()), len(end)
    bounds = _bounds(nodes, basins, count, levels)
    counts = np.zeros((levels, count), np.int32)
    if marks is not None:
        cells = marks * np.int64(count) + basins.reshape(-1, nodes.width)[: len(marks), : marks.shape[1]]
        by_level = np.bincount(cells.ravel(), minlength=_rows(levels) * count)
        counts = _above(np.add, by_level.astype(np.int32).reshape(-1, count))[:levels]
    first = np.zeros_like(end)
    for lower, higher, level in _joins(nodes, basins, end):
        first[lower] = level
        joined = bounds[:level, :, higher]
        np.minimum(joined, bounds[:level, :, lower], out=joined)
        if marks is not None:
            counts[:level, higher] += counts[:level, lower]
    return LevelComponents(first, end, bounds, counts)


def _blocks(keys: NDArray[np.float32]) -> _Nodes:
    framed = _framed(keys)
    width = framed.shape[1] // 2
    upper_left, upper_right, lower_left, lower_right = (
        framed[down::2, right::2].ravel() for down in (0, 1) for right in (0, 1)
    )
    top, bottom = np.maximum(upper_left, upper_right), np.maximum(lower_left, lower_right)
    left, right = np.maximum(upper_left, lower_left), np.maximum(upper_right, lower_right)
    links = (
        np.minimum(upper_left[width + 1 :], lower_right[: -width - 1]),
        np.minimum(top[width:], bottom[:-width]),
        np.minimum(upper_right[width - 1 :], lower_left[: -width + 1]),
        np.minimum(left[1:], right[:-1]),
    )
    steps = (width + 1, width, width - 1, 1)
    return _Nodes(width, np.maximum(top, bottom), steps, links, (left, right), (top, bottom))


def _pairs(keys: NDArray[np.float32]) -> _Nodes:
    framed = _framed(keys)
    width = framed.shape[1] // 2
    left, right = (framed[:, column::2].ravel() for column in (0, 1))
    above = [np.minimum(side[width:], side[:-width]) for side in (left, right)]
    links = (np.maximum(*above), np.minimum(left[1:], right[:-1]))
    values = np.maximum(left, right)
    return _Nodes(width, values, (width, 1), links, (left, right), (values,))


def _framed(keys: NDArray[np.float32]) -> NDArray[np.float32]:
    """The keys with an even number of rows and columns, and two more columns behind."""
    height, width = keys.shape
    framed = np.full((height + height % 2, width + width % 2 + 2), _NONE, np.float32)
    framed[:height, :width] = keys
    return framed


def _basins(nodes: _Nodes) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Which peak each node climbs to (N,), without ever going down, and the levels of the peaks.

    Of equal nodes the later one counts as higher, so there is always exactly one way up.
    """
    values, own = nodes.values, len(nodes.steps)
    seen = values * _DIRECTIONS
    best = seen + own
    for order, (step, link) in enumerate(zip(nodes.steps, nodes.links, strict=True)):
        here, there = slice(step, None), slice(None, -step)
        # A node is left only if its highest pixel is connected with the next.
        for of, to, direction in ((here, there, order), (there, here, 2 * own - order)):
            ahead = values[of] - link
            ahead *= -_FORBIDDEN
            ahead += seen[to]
            ahead += direction
            np.maximum(best[of], ahead, out=best[of])
    ways = np.array([*(-step for step in nodes.steps), 0, *reversed(nodes.steps)], np.intp)
    way = ways[best.astype(np.int32) & (_DIRECTIONS - 1)]
    way[nodes.width - 1 :: nodes.width] = -1  # what is not real belongs to its neighbour
    peaks = np.flatnonzero(way == 0)
    way += np.arange(len(way))
    for _ in range(_USUAL_ROUNDS):  # doubling the steps
        way = way[way]
    while not np.array_equal(further := way[way], way):
        way = further
    label = np.zeros(len(way), np.intp)
    label[peaks] = np.arange(len(peaks))
    return label[way], _level(values[peaks])


def _bounds(nodes: _Nodes, basins: NDArray[np.intp], count: int, levels: int) -> NDArray[np.int16]:
    """Extreme pixels (T, 4, count) of each basin's part above each level."""
    lowest = np.full((_rows(levels), 4, count), np.iinfo(np.int16).max, np.int16)
    flat, grid = lowest.ravel(), basins.reshape(-1, nodes.width)
    for axis, parts in enumerate((nodes.columns, nodes.rows)):
        turned = grid if axis else np.ascontiguousarray(grid.T)
        # At level t a basin reaches a line if its highest value there is above t. Along a line it mostly is
        # one run.
        labels, length = turned.ravel(), turned.shape[1]
        new = np.empty(labels.shape, bool)
        np.not_equal(labels[1:], labels[:-1], out=new[1:])
        new[::length] = True
        starts = np.flatnonzero(new)
        run_cells = labels[starts] + axis * count
        run_lines = (starts // length * len(parts)).astype(np.int16)
        for offset, part in enumerate(parts):
            keys = part if axis else np.ascontiguousarray(part.reshape(-1, nodes.width).T).ravel()
            highest = np.maximum.reduceat(keys, starts)
            real = highest >= 0
            cells = run_cells[real] + _level(highest[real]) * (4 * count)
            lines = run_lines[real] + np.int16(offset)
            np.minimum.at(flat, cells, lines)
            np.minimum.at(flat, cells + 2 * count, -lines)
    return _above(np.minimum, lowest)[:levels]


def _level(keys: NDArray[np.float32]) -> NDArray[np.int64]:
    return keys.astype(np.int64) >> FINE


def _rows(levels: int) -> int:
    """How many rows `_above` wants for that many levels."""
    return 1 + -(-levels // _CHUNK) * _CHUNK


def _above(combine: np.ufunc, by_value: NDArray) -> NDArray:
    """From what has a value, (1 + T, ...), to what is above each level, (T, ...).

    In chunks, because `combine.accumulate` would go through the array one number at a time.
    """
    above = by_value[1:].reshape(-1, _CHUNK, *by_value.shape[1:])
    for row in range(_CHUNK - 2, -1, -1):
        combine(above[:, row], above[:, row + 1], out=above[:, row])
    for chunk in range(len(above) - 2, -1, -1):
        combine(above[chunk], above[chunk + 1, 0], out=above[chunk])
    return above.reshape(-1, *by_value.shape[1:])


def _joins(
    nodes: _Nodes, basins: NDArray[np.intp], peaks: NDArray[np.int64]
) -> Iterator[tuple[int, int, int]]:
    """Yield `(lower, higher, level)`, highest first: two components are one below that level."""
    count = len(peaks)
    codes = []
    for step, link in zip(nodes.steps, nodes.links, strict=True):
        here, there = basins[step:], basins[:-step]
        border = np.flatnonzero((here != there) & (link >= 0))
        one, other = here[border], there[border]
        pair = np.minimum(one, other) * count + np.maximum(one, other)
        codes.append(pair << _LEVEL_BITS | _level(link[border]))
    code = np.sort(np.concatenate(codes))
    # Of each pair the highest link; of these the highest first.
    code = code[np.append(np.diff(code >> _LEVEL_BITS), 1)[: len(code)] > 0]
    level = code & ((1 << _LEVEL_BITS) - 1)
    order = np.argsort(-level, kind="stable")
    leader, height = list(range(count)), peaks.tolist()
    for linked, at in zip((code[order] >> _LEVEL_BITS).tolist(), level[order].tolist(), strict=True):
        first, second = (_leader(leader, basin) for basin in divmod(linked, count))
        if first == second:
            continue
        lower, higher = (first, second) if height[first] < height[second] else (second, first)
        leader[lower] = higher
        yield lower, higher, at


def _leader(leader: list[int], basin: int) -> int:
    while leader[basin] != basin:
        leader[basin] = basin = leader[leader[basin]]  # halves the path for the next one
    return basin
