"""Large pictures: tiles go through the network, and their maps are put together to one map of the picture."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from keras_cam.check_finite import check_finite
from keras_cam.images.batches import ImageBatch, read_batches
from keras_cam.images.files import ImageError
from keras_cam.images.windows import WindowedImage
from keras_cam.inference.evidence_maps import component_boxes, evidence_maps
from keras_cam.inference.localizer import Localizer
from keras_cam.inference.probe import Probe, probe
from keras_cam.inference.records import BoxXYXY, Detection, Localization
from keras_cam.recipes import DEFAULT_OVERLAP

MAX_BOXES = 100
"""A class gets at most so many boxes in a picture, the largest ones."""

# A tile has seen an object if it holds so much of it, or the object so much of the tile.
_SEEN = 0.5


class TiledLocalizer:
    """Localizes in large pictures with tiles of them.

    1. All tiles are classified. The score of a class is its highest probability in any tile; the best classes
       get maps.
    2. All tiles give maps of these classes, in units of the logit, see `evidence_maps`. The map of the
       picture is their weighted mean where they overlap: weights fall linearly from the centre of a tile to
       its borders, where the network sees half of things.
    3. The boxes of a class are those of all connected components above the threshold, a fraction of the
       maximum over the whole picture. An object on the border of tiles thus has one box. Its score is the
       highest probability in the tiles that have at least half of it, or that it fills at least by half.

    Without overlap, the mean of the picture's class activation map plus the bias is the mean logit of the
    tiles.

    Args:
        localizer: the localizer of a tile. Its maps should be in units of the logit, as class activation maps
            are, and gradients times features.
        tiles: the height and width of a tile in pixels of the picture, about: tiles are made a little larger
            or smaller so that cells of their maps coincide. A smaller picture is one tile.
        overlap: the fraction of a tile that it shares with the next one, at least; in [0, 1).
        batch_size: how many tiles go through the network at once.

    Raises:
        ValueError: an argument is not as described above.

    Examples:
        >>> import keras_cam
        >>> from keras_cam.images.windows import open_windows
        >>> model = keras_cam.build_model("mobilenet_v2", classes=3, input_shape=(96, 96, 3))
        >>> localizer = keras_cam.load_localizer(model, refine="none")
        >>> with open_windows(np.zeros((96, 260, 3), np.uint8)) as image:
        ...     record = TiledLocalizer(localizer, tiles=96, overlap=0.25).localize(image, "a", "abc")
        >>> record.width, record.detections[0].activation_map.shape
        (260, (3, 8))
    """

    def __init__(
        self, localizer: Localizer, tiles: int, overlap: float = DEFAULT_OVERLAP, batch_size: int = 8
    ) -> None:
        if isinstance(tiles, bool) or not isinstance(tiles, int) or tiles < 1 or not 0 <= overlap < 1:
            raise ValueError(
                "`tiles` must be a number of pixels of at least 1, and `overlap` in [0, 1). "
                f"Received: tiles={tiles!r}, overlap={overlap!r}"
            )
        self._localizer, self._tiles, self._overlap = localizer, tiles, overlap
        self._batch_size = batch_size

    def localize(
        self, image: WindowedImage, name: str, labels: Sequence[str], model: str = ""
    ) -> Localization:
        """What is in a picture, and where.

        Args:
            image: the picture.
            name: its name, for the record.
            labels: the names of all classes.
            model: the name of the model, for the record.

        Returns:
            A record whose `activation_map`s are those of the whole picture, with one detection for each box.

        Raises:
            ImageError: the picture cannot be read.
        """
        grid = _Grid.over(image.size_wh, self._tiles, self._overlap, self._tile.map_hw)
        logits = [self._localizer.classify(batch.images) for batch in self._batches(image, grid)]
        check_finite({"logits": np.concatenate(logits)})
        probabilities = self._tile.probabilities(np.concatenate(logits))
        best = probabilities.max(axis=0)
        class_ids = np.argsort(-best, kind="stable")[: self._tile.top_k].astype(np.int32)
        maps = self._stitched(image, grid, class_ids)
        check_finite({"maps": maps})
        threshold = self._tile.threshold
        detections = [
            Detection(int(class_id), labels[class_id], score, box, activation_map, threshold)
            for class_id, activation_map in zip(class_ids, maps, strict=True)
            for box, score in _boxes(activation_map, threshold, grid, probabilities[:, class_id])
        ]
        best_first = tuple(sorted(detections, key=lambda detection: -detection.score))
        return Localization(name, *image.size_wh, model, best_first)

    def _batches(self, image: WindowedImage, grid: "_Grid") -> Iterator[ImageBatch]:
        def read(index: int) -> np.ndarray:
            return image.read(*grid.windows[index])

        localizer = self._localizer
        for batch in read_batches(
            read, len(grid.windows), localizer.size_hw, self._batch_size, localizer.channels
        ):
            for error in filter(None, batch.errors):
                raise _UnreadableTileError(error)
            yield batch

    def _stitched(self, image: WindowedImage, grid: "_Grid", class_ids: np.ndarray) -> np.ndarray:
        """Maps (K, rows, columns) of the whole picture."""
        total, weights = np.zeros((len(class_ids), *grid.cells_hw), np.float32), np.zeros(grid.cells_hw)
        for batch in self._batches(image, grid):
            asked = np.tile(class_ids, (len(batch.images), 1))
            maps = evidence_maps(self._localizer.cam(batch.images, asked))
            for index, of_tile in zip(batch.index, maps, strict=True):
                place = grid.places[index]
                total[(slice(None), *place)] += of_tile * grid.weight
                weights[place] += grid.weight
        return (total / weights).astype(np.float32)

    @cached_property
    def _tile(self) -> Probe:
        return probe(self._localizer)


class _UnreadableTileError(ImageError):
    def __init__(self, message: str) -> None:
        ValueError.__init__(self, message)


@dataclass(frozen=True)
class _Grid:
    """Where tiles are in a picture, and their maps in its map.

    Attributes:
        size_wh: the width and height of the picture in pixels.
        cells_hw: the height and width of the map of the picture.
        windows: rows and columns of each tile in pixels.
        places: rows and columns of its map.
        weight: (h, w), the weights of the cells of a tile.
    """

    size_wh: tuple[int, int]
    cells_hw: tuple[int, int]
    windows: Sequence[tuple[slice, slice]]
    places: Sequence[tuple[slice, slice]]
    weight: np.ndarray

    @classmethod
    def over(cls, size_wh: tuple[int, int], tiles: int, overlap: float, map_hw: tuple[int, int]) -> "_Grid":
        """The grid of a picture, whose sides have whole numbers of cells."""
        sides = [_Side.over(*side, tiles, overlap) for side in zip(size_wh[::-1], map_hw, strict=True)]
        rows, columns = sides
        return cls(
            size_wh,
            (rows.cells, columns.cells),
            list(product(rows.windows, columns.windows)),
            list(product(rows.places, columns.places)),
            np.outer(*map(_ramp, map_hw)),
        )

    @cached_property
    def boxes(self) -> np.ndarray:
        """The tiles as xmin, ymin, xmax, ymax in pixels."""
        sides = [(columns.start, rows.start, columns.stop, rows.stop) for rows, columns in self.windows]
        return np.array(sides, np.float64)


@dataclass(frozen=True)
class _Side:
    """One side of a picture: its cells, and the pixels and the cells of each tile."""

    cells: int
    windows: Sequence[slice]
    places: Sequence[slice]

    @classmethod
    def over(cls, pixels: int, of_tile: int, tiles: int, overlap: float) -> "_Side":
        cells = of_tile if pixels <= tiles else round(pixels / tiles * of_tile)
        places = [slice(start, start + of_tile) for start in _starts(cells, of_tile, overlap)]
        cell = pixels / cells
        windows = [slice(round(place.start * cell), round(place.stop * cell)) for place in places]
        return cls(cells, windows, places)


def _starts(cells: int, of_tile: int, overlap: float) -> list[int]:
    """The first cells of tiles that cover a side, at equal distances, with at least this overlap.

    Examples:
        >>> _starts(24, 10, 0.2), _starts(10, 10, 0.2)
        ([0, 7, 14], [0])
    """
    step = max(1, math.floor(of_tile * (1 - overlap) + 1e-9))
    count = math.ceil((cells - of_tile) / step) + 1
    return [round(start) for start in np.linspace(0, cells - of_tile, count)]


def _ramp(cells: int) -> np.ndarray:
    """Weights that fall linearly from the centre to the borders.

    Examples:
        >>> _ramp(4).tolist()
        [0.5, 1.5, 1.5, 0.5]
    """
    places = np.arange(cells) + 0.5
    return np.minimum(places, cells - places)


def _boxes(
    activation_map: np.ndarray, threshold: float, grid: _Grid, probabilities: np.ndarray
) -> Iterator[tuple[BoxXYXY | None, float]]:
    """The boxes of a class with their scores; one entry without a box if there is none."""
    boxes = component_boxes(activation_map, grid.size_wh, threshold, MAX_BOXES)
    if not len(boxes):
        yield None, float(probabilities.max())
    for box in boxes:
        overlaps = np.minimum(grid.boxes[:, 2:], box[2:]) - np.maximum(grid.boxes[:, :2], box[:2])
        areas = np.minimum(np.prod(grid.boxes[:, 2:] - grid.boxes[:, :2], axis=1), np.prod(box[2:] - box[:2]))
        seen = np.prod(overlaps.clip(min=0), axis=1) / areas
        score = probabilities[seen >= min(_SEEN, seen.max())].max()
        yield tuple(box.tolist()), float(score)
