"""Which axes of a tensor are positions in the image."""

from dataclasses import dataclass
from math import prod
from typing import Any

import keras
from keras import ops

from keras_cam.graph.cursor import sources_of
from keras_cam.graph.flat_call import flat_call_of

# Class and register tokens stand before those of the image.
_MOST_PREFIX_TOKENS = 8


@dataclass(frozen=True)
class Places:
    """The layout of features: a value for each position and channel.

    Attributes:
        grid: the number of positions along each axis of the image, None where unknown: (h, w) for images.
        channels_first: whether channels come before positions.
        tokens: whether positions are in one axis, (B, prefix + h * w, C).
        prefix: the number of tokens without a position, which come first.
    """

    grid: tuple[int | None, ...]
    channels_first: bool = False
    tokens: bool = False
    prefix: int = 0

    def laid_out(self, values: Any, classes: Any = None) -> Any:
        """Features (B, ...) as (B, h, w, C); or their cotangents (B, K, ...) as (B, K, h, w, C).

        A signal has h = 1; a volume (d, h, w) is laid out as d * h rows.
        """
        outer = (-1,) if classes is None else (-1, classes)
        leading = len(outer)
        if self.tokens:
            values = values[(slice(None),) * leading + (slice(self.prefix, None),)]
        if self.channels_first:
            rank = len(values.shape)
            values = ops.transpose(values, (*range(leading), *range(leading + 1, rank), leading))
        return ops.reshape(values, (*outer, *self._rows(values, leading), values.shape[-1]))

    def as_given(self, values: Any, original: Any) -> Any:
        """The inverse of `laid_out` for n copies of the batch, (n * B, h, w, C).

        Tokens without a position are those of `original` (B, ...).
        """
        shape = ops.shape(original)
        if self.channels_first:
            values = ops.reshape(values, (-1, *shape[2:], shape[1]))
            return ops.transpose(values, (0, len(shape) - 1, *range(1, len(shape) - 1)))
        if not self.prefix:
            return ops.reshape(values, (-1, *shape[1:]))
        values = ops.reshape(values, (-1, shape[1] - self.prefix, shape[2]))
        copies = ops.shape(values)[0] // shape[0]
        return ops.concatenate([ops.tile(original[:, : self.prefix], (copies, 1, 1)), values], axis=1)

    def maps(self, maps: Any, original: Any) -> Any:
        """Maps (B, K, h, w) of `laid_out` positions with the axes of the image: (B, K, l) of a signal."""
        if len(self.grid) == 2:
            return maps
        sizes = ops.shape(original)[2:] if self.channels_first else ops.shape(original)[1:-1]
        return ops.reshape(maps, (*ops.shape(maps)[:2], *sizes))

    def _rows(self, values: Any, leading: int) -> tuple[Any, Any]:
        grid = self.grid if self.tokens else ops.shape(values)[leading:-1]
        return (prod(grid[:-1]), grid[-1])


def places_of(tensor: Any, images: Any) -> Any:
    """The positions of a tensor that depends on images.

    Args:
        tensor: KerasTensor of a flat graph.
        images: the input (B, H, W, C) of that graph; (B, L, C) for signals, (B, D, H, W, C) for volumes.

    Returns:
        `Places`; None for a tensor with at most one position.
    """
    shape, rank = tuple(tensor.shape), len(images.shape)
    if shape[-1] == 1 and tensor is not images:
        return None  # one channel is a weight or a mask
    if len(shape) == rank:
        channels_first = _is_channels_first(tensor)
        grid = shape[2:] if channels_first else shape[1:-1]
        sizes = (images.shape[1:-1], images.shape[2:])  # whichever order of axes the input has
        is_grid = rank == 3 or any(_same_strides(size, grid) for size in sizes)
        is_grid = is_grid and prod(n or 2 for n in grid) > 1
        return Places(grid, channels_first) if is_grid else None
    if rank >= 4 and len(shape) == 3 and shape[1] and shape[1] > 1:
        tokens = _grid_of_tokens(tensor, shape[1], images)
        return tokens and Places(tokens, tokens=True, prefix=shape[1] - prod(tokens))
    return None


def known_places(tensor: Any, images: Any) -> Places:
    """The positions of a tensor that has some."""
    places = places_of(tensor, images)
    if places is None:
        raise ValueError(f"`tensor` must have several positions. Received: shape {tuple(tensor.shape)}")
    return places


def _same_strides(size: tuple[int | None, ...], grid: tuple[int | None, ...]) -> bool:
    """Whether positions are about equally dense along all axes: those of other 4D tensors are not."""
    strides = [whole / part for whole, part in zip(size, grid, strict=True) if whole and part]
    return not strides or max(strides) < 2 * min(strides)


def _grid_of_tokens(tensor: Any, count: int, images: Any) -> Any:
    """The grid from which tokens were made: the nearest tensor with about as many positions.

    A layer that makes tokens of pixels by itself leaves no such tensor: then the grid is like the image.
    """
    todo, seen = [tensor], {id(images)}
    has_grids = False
    while todo:
        current = todo.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        if len(current.shape) == len(images.shape):
            places = places_of(current, images)
            grid: Any = places.grid if places else (None,)
            has_grids = has_grids or grid not in ((None,), images.shape[1:-1])
            if None not in grid and 0 <= count - prod(grid) <= _MOST_PREFIX_TOKENS:
                return grid
        todo += sources_of(current)
    return None if has_grids else _grid_like_the_image(count, images)


def _grid_like_the_image(count: int, images: Any) -> tuple[int, ...] | None:
    """The grid with the proportions of the image that leaves the fewest tokens over."""
    size = images.shape[1:-1]
    if len(size) != 2 or None in size:
        return None
    for prefix in range(_MOST_PREFIX_TOKENS + 1):
        for rows in range(1, count - prefix + 1):
            if (count - prefix) % rows == 0 and rows * size[1] == (count - prefix) // rows * size[0]:
                return (rows, (count - prefix) // rows)
    return None


def _is_channels_first(tensor: Any) -> bool:
    """Whether the channels of a tensor are its second axis, as the nearest layer that has an order says."""
    operation = flat_call_of(tensor).operation
    while not hasattr(operation, "data_format"):
        sources = sources_of(tensor)
        if not sources:
            return keras.config.image_data_format() == "channels_first"
        if _moves_channels(operation):
            return not _is_channels_first(sources[0])
        tensor = sources[0]
        operation = flat_call_of(tensor).operation
    return operation.data_format == "channels_first"


def _moves_channels(operation: Any) -> bool:
    order = getattr(operation, "axes", None) if type(operation).__name__ == "Transpose" else None
    if isinstance(operation, keras.layers.Permute):
        order = (0, *operation.dims)
    last = len(order or ()) - 1
    return order is not None and tuple(order) in ((0, *range(2, last + 1), 1), (0, last, *range(1, last)))
