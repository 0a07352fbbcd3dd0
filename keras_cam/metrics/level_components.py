"""The connected components of an image at every threshold, in one pass.

A search for contours at each of 256 levels visits every pixel 256 times. This module visits it a few times
in all. Every pixel climbs to a peak, which divides the image into basins, one for each peak. The bounds of a
basin at each level are a cumulative minimum. Components are basins joined at the passes between them, the
highest pass first.

Pixels that are connected at every level climb together: blocks of 2x2 if pixels are neighbours at corners,
else pairs in a row. Numba compiles the loops when they are first used, and caches the result.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

FINE = 11
"""Bits of a key below its level. They only tell which of two pixels of the same level is higher."""

_NEIGHBOURS = {4: cv2.MORPH_CROSS, 8: cv2.MORPH_RECT}

# Levels go up to that of a frame around 256 of them.
_LEVELS = 512

_NOWHERE = np.iinfo(np.int16).max


class LevelComponents(NamedTuple):
    """Components of `level > t` for t = 0, 1, ..., T - 1; component `b` exists for first[b] <= t < end[b].

    Attributes:
        first: int64 (B,), the lowest level at which the component is not part of another.
        end: int64 (B,), its highest value: from this level on it is gone.
        bounds: int16 (B, T, 4), the extreme pixels `min x, min y, -max x, -max y`; meaningless outside
            the levels at which the component exists.
        doubled_areas: int32 (B, T), twice the area inside the line through the centres of its outermost
            pixels, less that of its holes. Zeros unless `connectivity=8`.
    """

    first: NDArray[np.int64]
    end: NDArray[np.int64]
    bounds: NDArray[np.int16]
    doubled_areas: NDArray[np.int32]

    def at_levels(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Each component with each level at which it exists: two int64 (N,)."""
        spans = self.end - self.first
        component = np.repeat(np.arange(len(spans)), spans)
        return component, np.arange(len(component)) + np.repeat(self.first - spans.cumsum() + spans, spans)


def level_components(keys: NDArray[np.int32], connectivity: int = 8) -> LevelComponents:
    """Find the components of `keys // 2 ** FINE > t` for every level t at once.

    Args:
        keys: int32 (H, W): the level, 0 to 256, and below it `FINE` bits that order pixels of the same level.
            They do not change the result, but the more pixels they order, the fewer basins there are.
        connectivity: 4 or 8.

    Examples:
        >>> import numpy as np
        >>> image = np.array([[1, 1, 3, 1, 1, 2]], "int32")
        >>> components = level_components(image << FINE)
        >>> components.first.tolist(), components.end.tolist()  # the peak of 2 stands alone at level 1
        ([0, 1], [3, 2])
        >>> components.bounds[0].tolist()  # levels 0, 1 and 2
        [[0, 0, -5, 0], [2, 0, -2, 0], [2, 0, -2, 0]]
    """
    if keys.shape[1] % 2:  # pixels are taken in pairs
        keys = np.pad(keys, ((0, 0), (0, 1)))
    diagonally = connectivity == 8
    bits = keys.size.bit_length()
    ranked = _ranked(keys, diagonally, bits)
    highest = cv2.dilate(ranked, cv2.getStructuringElement(_NEIGHBOURS[connectivity], (3, 3)))
    basins, peaks = _basins(ranked, highest, diagonally, bits)
    end = peaks >> (bits + FINE)
    levels = int(end.max())
    bounds = _bounds(keys, basins, len(end), levels)
    areas = np.zeros(bounds.shape[:2], np.int32)
    if diagonally:
        _add_doubled_areas(keys, basins, areas)
    one, other, below = _passes(keys, basins, diagonally)
    first = _join(one, other, below, end, bounds, areas)
    return LevelComponents(first, end, bounds[:, 1:], areas[:, 1:])


@njit(cache=True)
def _ranked(keys, diagonally, bits):  # type: ignore[no-untyped-def]
    """Each pixel's key with its block in the lowest bits, a whole number that float64 holds exactly.

    Of two equal keys the one of the later block is higher, so that there is always exactly one way up.
    """
    height, width = keys.shape
    ranked = np.empty((height, width), np.float64)
    for y in range(height):
        block = (y // 2 if diagonally else y) * (width // 2)
        for x in range(width):
            ranked[y, x] = (np.int64(keys[y, x]) << bits) + block + x // 2
    return ranked


@njit(cache=True)
def _basins(ranked, highest, diagonally, bits):  # type: ignore[no-untyped-def]
    """The basin of each pair of pixels, int32 (H, W / 2), and the rank of each basin's peak, int64 (B,).

    A block climbs to the highest neighbour of its highest pixel.
    """
    height, width = ranked.shape
    pairs = width // 2
    rank = np.zeros((height + 1) // 2 * pairs if diagonally else height * pairs)
    seen = np.zeros_like(rank)
    for y in range(height):
        row = (y // 2 if diagonally else y) * pairs
        for x in range(width):
            block = row + x // 2
            if ranked[y, x] > rank[block] or (ranked[y, x] == rank[block] and highest[y, x] > seen[block]):
                rank[block], seen[block] = ranked[y, x], highest[y, x]
    ahead = np.empty(rank.size, np.int64)
    for block in range(rank.size):
        ahead[block] = np.int64(seen[block]) & ((1 << bits) - 1)

    basin = np.full(rank.size, -1, np.int32)
    path = np.empty(rank.size, np.int64)
    peaks = np.empty(rank.size, np.int64)
    count = 0
    for start in range(rank.size):
        at, length = start, 0
        while basin[at] < 0:
            if ahead[at] == at:
                basin[at] = count
                peaks[count] = np.int64(rank[at])
                count += 1
            else:
                path[length] = at
                length += 1
                at = ahead[at]
        for step in range(length):
            basin[path[step]] = basin[at]

    basins = np.empty((height, pairs), np.int32)
    for y in range(height):
        row = (y // 2 if diagonally else y) * pairs
        basins[y] = basin[row : row + pairs]
    return basins, peaks[:count]


@njit(cache=True)
def _bounds(keys, basins, count, levels):  # type: ignore[no-untyped-def]
    """Extreme pixels (B, 1 + T, 4) of those pixels of each basin that have at least each value.

    A basin reaches a row or a column up to its highest value there.
    """
    height, pairs = basins.shape
    bounds = np.full((count, levels + 1, 4), _NOWHERE, np.int16)
    down = np.zeros(2 * pairs, np.int32)  # the highest key in each column since the basin changed
    for y in range(height):
        for x in range(2 * pairs):
            down[x] = max(down[x], keys[y, x])
        across = np.int32(0)
        for pair in range(pairs):
            basin = basins[y, pair]
            across = max(across, keys[y, 2 * pair], keys[y, 2 * pair + 1])
            if pair + 1 == pairs or basins[y, pair + 1] != basin:
                value = across >> FINE
                bounds[basin, value, 1] = min(bounds[basin, value, 1], y)
                bounds[basin, value, 3] = min(bounds[basin, value, 3], -y)
                across = np.int32(0)
            if y + 1 == height or basins[y + 1, pair] != basin:
                for x in range(2 * pair, 2 * pair + 2):
                    value = down[x] >> FINE
                    bounds[basin, value, 0] = min(bounds[basin, value, 0], x)
                    bounds[basin, value, 2] = min(bounds[basin, value, 2], -x)
                    down[x] = 0
    for basin in range(count):
        for value in range(levels, 0, -1):
            for side in range(4):
                higher = bounds[basin, value, side]
                bounds[basin, value - 1, side] = min(bounds[basin, value - 1, side], higher)
    return bounds


@njit(cache=True)
def _add_doubled_areas(keys, basins, areas):  # type: ignore[no-untyped-def]
    """Count half squares between the centres of four pixels, (B, 1 + T) like `_bounds`.

    Three pixels above a level span half a square, the fourth adds the other half.
    """
    height, width = keys.shape
    third, fourth = np.empty(width, np.int32), np.empty(width, np.int32)
    for y in range(height - 1):
        for x in range(width - 1):
            upper, lower = min(keys[y, x], keys[y, x + 1]), min(keys[y + 1, x], keys[y + 1, x + 1])
            highest = max(keys[y, x], keys[y, x + 1]), max(keys[y + 1, x], keys[y + 1, x + 1])
            third[x] = min(max(upper, lower), highest[0], highest[1])
            fourth[x] = min(upper, lower)
        for x in range(width - 1):
            # The basin of a pixel that is one of the first three.
            basin = basins[y, x // 2 if keys[y, x] >= third[x] else (x + 1) // 2]
            areas[basin, third[x] >> FINE] += 1
            areas[basin, fourth[x] >> FINE] += 1
    for basin in range(areas.shape[0]):
        for value in range(areas.shape[1] - 1, 0, -1):
            areas[basin, value - 1] += areas[basin, value]


@njit(cache=True)
def _passes(keys, basins, diagonally):  # type: ignore[no-untyped-def]
    """Pairs of pixels of different basins that touch: both basins, and the level below which they connect."""
    height, pairs = basins.shape
    one = np.empty(4 * basins.size, np.int32)
    other, below = np.empty_like(one), np.empty_like(one)
    count = 0
    for y in range(height):
        for pair in range(pairs):
            basin, left, right = basins[y, pair], keys[y, 2 * pair], keys[y, 2 * pair + 1]
            if pair and basins[y, pair - 1] != basin:
                one[count], other[count] = basin, basins[y, pair - 1]
                below[count] = min(left, keys[y, 2 * pair - 1]) >> FINE
                count += 1
            if y == 0:
                continue
            if basins[y - 1, pair] != basin:
                above_left, above_right = keys[y - 1, 2 * pair], keys[y - 1, 2 * pair + 1]
                one[count], other[count] = basin, basins[y - 1, pair]
                if diagonally:
                    below[count] = min(max(left, right), max(above_left, above_right)) >> FINE
                else:
                    below[count] = max(min(left, above_left), min(right, above_right)) >> FINE
                count += 1
            if diagonally and pair and basins[y - 1, pair - 1] != basin:
                one[count], other[count] = basin, basins[y - 1, pair - 1]
                below[count] = min(left, keys[y - 1, 2 * pair - 1]) >> FINE
                count += 1
            if diagonally and pair + 1 < pairs and basins[y - 1, pair + 1] != basin:
                one[count], other[count] = basin, basins[y - 1, pair + 1]
                below[count] = min(right, keys[y - 1, 2 * pair + 2]) >> FINE
                count += 1
    return one[:count], other[:count], below[:count]


@njit(cache=True)
def _join(one, other, below, end, bounds, areas):  # type: ignore[no-untyped-def]
    """Join basins over their passes, in place; the levels (B,) below which each is part of a higher one."""
    first = np.zeros_like(end)
    leader = np.arange(len(end))
    flat = bounds.reshape(len(end), -1)
    for index in _highest_first(below):
        lower, higher = _leader(leader, one[index]), _leader(leader, other[index])
        if lower == higher:
            continue
        if end[lower] > end[higher]:
            lower, higher = higher, lower
        leader[lower] = higher
        first[lower] = below[index]
        for value in range(below[index] + 1):
            areas[higher, value] += areas[lower, value]
        for value in range(4 * (below[index] + 1)):
            flat[higher, value] = min(flat[higher, value], flat[lower, value])
    return first


@njit(cache=True)
def _highest_first(levels):  # type: ignore[no-untyped-def]
    """The order that sorts levels, by counting them."""
    start = np.zeros(_LEVELS + 1, np.int64)
    for level in levels:
        start[_LEVELS - level] += 1
    start = np.cumsum(start) - start
    order = np.empty(len(levels), np.int64)
    for index, level in enumerate(levels):
        order[start[_LEVELS - level]] = index
        start[_LEVELS - level] += 1
    return order


@njit(cache=True)
def _leader(leader, basin):  # type: ignore[no-untyped-def]
    while leader[basin] != basin:
        leader[basin] = leader[leader[basin]]  # halves the path for the next one
        basin = leader[basin]
    return basin
