"""The connected components of an image at every threshold, in one pass.

Searching for contours at each of 256 levels looks at every pixel 256 times. Here each pixel is looked at
once: it climbs to a peak, which splits the image into one basin a peak; what a basin contributes at each
level is a cumulative sum or minimum; and components are basins joined over their passes, highest pass first.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Neighbours that come before a pixel in the order of rows; the opposite ones come after it.
_EARLIER = {4: ((-1, 0), (0, -1)), 8: ((-1, -1), (-1, 0), (-1, 1), (0, -1))}


class LevelComponents(NamedTuple):
    """Components of `levels > t` for t = 0, 1, ..., T - 1; component `b` exists for first[b] <= t < end[b].

    Attributes:
        first: int64 (B,), the lowest level at which the component is one of its own.
        end: int64 (B,), its highest value: from this level on nothing of it is left.
        bounds: int16 (B, T, 4), the extreme pixels `min x, min y, -max x, -max y`; meaningless outside
            the levels at which the component exists.
        areas: int64 (B, T), twice the area inside the polygon through the component's border pixels, if the
            component has no hole; zeros if not asked for.
    """

    first: NDArray[np.int64]
    end: NDArray[np.int64]
    bounds: NDArray[np.int16]
    areas: NDArray[np.int64]

    def exists(self) -> NDArray[np.bool_]:
        """Which component is there at which level: bool (B, T)."""
        levels = np.arange(self.bounds.shape[1])
        return (levels >= self.first[:, None]) & (levels < self.end[:, None])


def level_components(
    keys: NDArray[np.int32], levels: NDArray[np.int32], connectivity: int = 8, areas: bool = False
) -> tuple[LevelComponents, NDArray[np.int32], NDArray[np.int64]]:
    """Find the components of `levels > t` for every level t at once.

    Args:
        keys: int32 (H, W), an order of the pixels that refines `levels`: a larger key never has a lower
            level. The finer, the fewer basins. `levels` itself will do.
        levels: int32 (H, W), not negative.
        connectivity: 4 or 8.
        areas: whether to measure the areas; needs 8-connected components.

    Returns:
        `(components, basins, passes)`: the components; int32 (H, W), which of them each pixel belongs to at
        the pixel's own level or, if they were joined above it, one they are joined with; int64 (B,), the
        highest level of a path to the highest peak, whose own is its height.

    Example:

    >>> import numpy as np
    >>> image = np.array([[1, 3, 1, 2]], "int32")
    >>> components, basins, passes = level_components(image, image)
    >>> components.first.tolist(), components.end.tolist()  # the peak of 2 stands alone at level 1
    ([0, 1], [3, 2])
    >>> basins.tolist(), passes.tolist()
    ([[0, 0, 0, 1]], [3, 1])
    >>> components.bounds[0, :3].tolist()  # levels 0, 1 and 2
    [[0, 0, -3, 0], [1, 0, -1, 0], [1, 0, -1, 0]]
    """
    basins, tops = _basins(keys, connectivity)
    end = levels.ravel()[tops].astype(np.int64)
    bounds = _bounds(basins, levels, len(tops))
    measured = _areas(basins, keys, levels, len(tops)) if areas else np.zeros(bounds.shape[:2], np.int64)
    first, passes = np.zeros_like(end), end.copy()
    joins = list(_joins(basins, levels, end, connectivity))
    for lower, higher, level in joins:
        first[lower] = level
        np.minimum(bounds[higher, :level], bounds[lower, :level], out=bounds[higher, :level])
        if areas:
            measured[higher, :level] += measured[lower, :level]
    # The last joins reach the highest peak directly; each earlier one goes through a later one.
    for lower, higher, level in reversed(joins):
        passes[lower] = min(level, passes[higher])
    return LevelComponents(first, end, bounds, measured), basins, passes


def _basins(keys: NDArray[np.int32], connectivity: int) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Label (H, W) of the peak each pixel climbs to, and the flat positions of the peaks.

    Of equal neighbours the later one counts as higher, so there is always exactly one way up.
    """
    height, width = keys.shape
    padded = np.full((height + 2, width + 2), -1, np.int32)
    padded[1:-1, 1:-1] = keys
    earlier = _EARLIER[connectivity]
    best = np.full_like(keys, -1)
    step = np.zeros_like(keys)
    for down, right in (*earlier, (0, 0), *((-down, -right) for down, right in reversed(earlier))):
        neighbour = padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        np.copyto(step, down * width + right, where=neighbour >= best)
        np.maximum(best, neighbour, out=best)
    itself = np.arange(keys.size, dtype=np.int32)
    way = itself + step.ravel()
    tops = np.flatnonzero(step.ravel() == 0)
    while True:  # doubling the steps: a path across the whole image takes 8 rounds
        further = way[way]
        if np.array_equal(further, way):
            break
        way = further
    label = np.zeros(keys.size, np.int32)
    label[tops] = np.arange(len(tops), dtype=np.int32)
    return label[way].reshape(keys.shape), tops


def _bounds(basins: NDArray[np.int32], levels: NDArray[np.int32], count: int) -> NDArray[np.int16]:
    """Extreme pixels (count, T, 4) of each basin's part above each level."""
    height, width = levels.shape
    high = int(levels.max()) + 1
    # At level t a basin reaches a column if its highest value there is above t: few columns, many pixels.
    extremes = []
    for length, positions in ((width, np.arange(width)), (height, np.arange(height)[:, None])):
        reach = np.full(count * length, -1, np.int32)
        np.maximum.at(reach, (basins * np.int32(length) + positions).ravel(), levels.ravel())
        basin, position = np.divmod(np.flatnonzero(reach >= 0), length)
        cell = basin * high + reach[reach >= 0]
        for values in (position, -position):
            lowest = np.full(count * high, np.iinfo(np.int16).max, np.int16)
            np.minimum.at(lowest, cell, values.astype(np.int16))
            extremes.append(lowest.reshape(count, high))
    left, right, top, bottom = extremes
    return _above(np.minimum, np.stack([left, top, right, bottom], axis=-1))


def _areas(
    basins: NDArray[np.int32], keys: NDArray[np.int32], levels: NDArray[np.int32], count: int
) -> NDArray[np.int64]:
    """Twice the area (count, T) that each basin's part above each level covers.

    The polygon through border pixels covers a square of four pixel centres if all four are inside and half
    of it if three are: so one half from the lowest of the four values down, another from the second lowest.
    """
    high = int(levels.max()) + 1
    corners = [levels[:-1, :-1], levels[:-1, 1:], levels[1:, :-1], levels[1:, 1:]]
    low, high_of_low = np.minimum(*corners[:2]), np.maximum(*corners[:2])
    other, high_of_other = np.minimum(*corners[2:]), np.maximum(*corners[2:])
    lowest = np.minimum(low, other)
    second = np.minimum(np.maximum(low, other), np.minimum(high_of_low, high_of_other))
    # All corners above a level are neighbours, so the basin of the highest one stands for them.
    highest, owner = keys[:-1, :-1], basins[:-1, :-1]
    for down, right in ((slice(-1), slice(1, None)), (slice(1, None), slice(-1)), (slice(1, None),) * 2):
        owner = np.where(keys[down, right] > highest, basins[down, right], owner)
        highest = np.maximum(highest, keys[down, right])
    cells = np.concatenate([(owner * np.int64(high) + value).ravel() for value in (lowest, second)])
    return _above(np.add, np.bincount(cells, minlength=count * high).reshape(count, high))


def _above(accumulate: np.ufunc, by_value: NDArray) -> NDArray:
    """From what has a value to what is above each level, along the second axis."""
    return np.ascontiguousarray(accumulate.accumulate(by_value[:, :0:-1], axis=1)[:, ::-1])


def _joins(
    basins: NDArray[np.int32], levels: NDArray[np.int32], peaks: NDArray[np.int64], connectivity: int
) -> Iterator[tuple[int, int, int]]:
    """Yield `(lower, higher, level)`, highest first: two components are one below that level."""
    count = len(peaks)
    height, width = levels.shape
    pairs, heights = [], []
    for down, right in _EARLIER[connectivity]:
        here = np.s_[-down:, max(-right, 0) : width - max(right, 0)]
        there = np.s_[: height + down, max(right, 0) : width - max(-right, 0)]
        border = np.nonzero(basins[here] != basins[there])
        ends = basins[here][border].astype(np.int64), basins[there][border]
        pairs.append(np.minimum(*ends) * count + np.maximum(*ends))
        heights.append(np.minimum(levels[here][border], levels[there][border]))
    pair, level = np.concatenate(pairs), np.concatenate(heights)
    order = np.argsort(-level, kind="stable")
    _, highest = np.unique(pair[order], return_index=True)
    order = order[np.sort(highest)]
    leader = list(range(count))
    for code, at in zip(pair[order].tolist(), level[order].tolist(), strict=True):
        one, other = (_leader(leader, basin) for basin in divmod(code, count))
        if one == other:
            continue
        lower, higher = (one, other) if peaks[one] < peaks[other] else (other, one)
        leader[lower] = higher
        yield lower, higher, at


def _leader(leader: list[int], basin: int) -> int:
    while leader[basin] != basin:
        leader[basin] = basin = leader[leader[basin]]  # halves the path for the next one
    return basin
