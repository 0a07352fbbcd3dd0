"""Pictures of localizations: the map of a class as a heat map over the photo, its box, label and score.

All functions take NumPy arrays or image files, do not modify their input and have no global state.
"""

import math
from collections.abc import Sequence
from io import BytesIO
from itertools import zip_longest
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from keras_cam.drawing.boxes import COLOURS, draw_boxes
from keras_cam.images.files import read_image, read_reduced
from keras_cam.inference.masks import object_mask
from keras_cam.inference.records import FLAT_MAP, BoxXYXY, Detection, Localization
from keras_cam.plain_text import plain_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Photo = str | Path | np.ndarray

COLORMAPS = {
    "cividis": cv2.COLORMAP_CIVIDIS,
    "inferno": cv2.COLORMAP_INFERNO,
    "magma": cv2.COLORMAP_MAGMA,
    "plasma": cv2.COLORMAP_PLASMA,
    "viridis": cv2.COLORMAP_VIRIDIS,
}
"""Perceptually uniform colour maps only: others (jet, hsv) show edges that are not in the map."""


def overlay(
    image: Photo,
    activation_map: np.ndarray | None = None,
    boxes_xyxy: Sequence[BoxXYXY | None] = (),
    labels: Sequence[str] = (),
    scores: Sequence[float] = (),
    *,
    remarks: Sequence[str] = (),
    alpha: float = 0.7,
    colormap: str = "inferno",
) -> np.ndarray:
    """Draw an activation map, boxes and labels over a photo.

    The map is upsampled bilinearly, negative values are set to 0, and the rest is divided by the maximum. The
    opacity of the colour grows with the value: where the map is 0, the photo is unchanged. A map that is
    constant or has no positive value adds no colour.

    Args:
        image: a path, or an array (H, W, 3), RGB, uint8 or float, 0..255.
        activation_map: a raw map (h, w) of any size, or None.
        boxes_xyxy: boxes in pixels with half-open maxima; None for a class without a box, whose label goes to
            the upper left corner.
        labels: a label for each box, or an empty sequence.
        scores: a probability for each box, or an empty sequence.
        remarks: a text after the score of each box, or an empty sequence.
        alpha: the opacity at the maximum of the map, in [0, 1].
        colormap: one of `COLORMAPS`.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        ImageError: the file cannot be read.
        ValueError: an argument is not as described above.

    Examples:
        >>> photo = np.full((20, 20, 3), 92, np.uint8)
        >>> picture = overlay(photo, np.array([[0.0, 0.0], [0.0, 1.0]]))
        >>> picture[0, 0].tolist(), picture[19, 19].tolist()  # cold, hot
        ([92, 92, 92], [204, 206, 142])
    """
    _check_style(alpha, colormap)
    for name, values in (("labels", labels), ("scores", scores), ("remarks", remarks)):
        if len(values) not in (0, len(boxes_xyxy)):
            raise ValueError(
                f"`{name}` must be empty or have one entry for each of the {len(boxes_xyxy)} boxes. "
                f"Received: {name}={values!r}"
            )
    picture = _photo(image)
    if activation_map is not None:
        picture = _blend(picture, np.asarray(activation_map), alpha, colormap)
    if len(boxes_xyxy):
        percents = [f"{score:.1%}" for score in scores]
        endings = [", ".join(filter(None, pair)) for pair in zip_longest(percents, remarks, fillvalue="")]
        texts = list(zip_longest(labels, endings, fillvalue=""))
        picture = draw_boxes(picture, boxes_xyxy, texts)
    return picture.copy() if picture is image else picture


def draw_localization(
    image: Photo,
    localization: Localization,
    top: int = 1,
    *,
    masks: bool = False,
    alpha: float = 0.7,
    colormap: str = "inferno",
) -> np.ndarray:
    """Draw the map of the best class and the boxes of the `top` best classes over a photo.

    Args:
        image: the photo as a path or an array (H, W, 3), RGB, 0..255. If its size differs from the size in
            `localization`, boxes are scaled.
        localization: the localization of this photo.
        top: the number of boxes, at least 1.
        masks: draw the masks of these boxes, in their colours, in place of the map.
        alpha: the opacity at the maximum of the map and of masks, in [0, 1].
        colormap: one of `COLORMAPS`.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        ImageError: the file cannot be read.
        ValueError: an argument is not as described above.

    Examples:
        >>> from keras_cam.inference.records import Detection
        >>> cat = Detection(281, "tabby", 0.9, (8.0, 8.0, 40.0, 40.0), np.eye(7, dtype=np.float32))
        >>> photo = np.zeros((48, 64, 3), np.uint8)
        >>> draw_localization(photo, Localization("cat.jpg", 64, 48, "my_model", (cat,))).shape
        (48, 64, 3)
    """
    if top < 1:
        raise ValueError(f"`top` must be at least 1. Received: top={top!r}")
    _check_style(alpha, colormap)
    photo = _photo(image)
    best = localization.detections[:top]
    boxes = [_shown_box(detection, localization, photo) for detection in best]
    if masks:
        photo = _with_masks(photo, best, boxes, alpha)
    return overlay(
        photo,
        _shown_map(best[0]) if best and not masks else None,
        boxes,
        [detection.label for detection in best],
        [detection.score for detection in best],
        remarks=[detection.remark for detection in best],
        alpha=alpha,
        colormap=colormap,
    )


def gallery(
    images: Sequence[Photo],
    columns: int | None = None,
    *,
    cell_wh: tuple[int, int] = (480, 360),
    margin: int = 12,
) -> np.ndarray:
    """Arrange pictures of any size on a white grid, each scaled to fit its cell and centred.

    Args:
        images: paths or arrays (H, W, 3), RGB, 0..255; row by row.
        columns: the number of cells in a row; None makes the grid about square, full if possible.
        cell_wh: width and height of a cell in pixels.
        margin: pixels between cells and around the grid.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        ImageError: a file cannot be read.
        ValueError: `images` is empty or `columns` is not positive.

    Examples:
        >>> photos = [np.zeros((30, 40, 3), np.uint8)] * 5
        >>> gallery(photos, columns=3, cell_wh=(40, 30), margin=2).shape
        (66, 128, 3)
    """
    if isinstance(images, str | Path) or not len(images):
        raise ValueError(f"`images` must be a list of at least one image. Received: images={images!r}")
    if columns is None:
        columns = _columns_without_gaps(len(images))
    if columns < 1:
        raise ValueError(f"`columns` must be at least 1. Received: columns={columns!r}")
    width, height = cell_wh
    rows = math.ceil(len(images) / columns)
    size_wh = (margin + columns * (width + margin), margin + rows * (height + margin))
    sheet = Image.new("RGB", size_wh, "white")
    for position, image in enumerate(images):
        row, column = divmod(position, columns)
        picture = _fitted(_photo(image), cell_wh)
        left = margin + column * (width + margin) + (width - picture.width) // 2
        top = margin + row * (height + margin) + (height - picture.height) // 2
        sheet.paste(picture, (left, top))
    return np.array(sheet)


def _columns_without_gaps(count: int) -> int:
    """The columns of a grid that is about square; a wider one if that has no empty cell.

    Examples:
        >>> [_columns_without_gaps(count) for count in (1, 5, 6, 8, 9)]
        [1, 3, 3, 4, 3]
    """
    square = math.ceil(math.sqrt(count))
    full = (columns for columns in range(square, 2 * square) if count % columns == 0 and columns < count)
    return next(full, square)


def figure(
    image: Photo,
    localization: Localization,
    top: int = 5,
    *,
    alpha: float = 0.7,
    colormap: str = "inferno",
) -> "Figure":
    """Make a Matplotlib figure of a photo and, beside it, the map and box of each of its `top` classes.

    Notebooks display it as the value of a cell; `figure(...).savefig("cat.pdf")` writes it to a file.

    Args:
        image: the photo as a path or an array (H, W, 3), RGB, 0..255.
        localization: the localization of this photo.
        top: the number of classes, at least 1.
        alpha: the opacity at the maximum of each map, in [0, 1].
        colormap: one of `COLORMAPS`.

    Returns:
        A `matplotlib.figure.Figure` that is not registered with `pyplot`, so it need not be closed.

    Raises:
        ImageError: the file cannot be read.
        ValueError: an argument is not as described above.

    Examples:
        >>> sheet = figure(np.zeros((48, 64, 3), np.uint8), Localization("cat.jpg", 64, 48, "my_model", ()))
        >>> [axes.get_title() for axes in sheet.axes]
        ['cat.jpg']
    """
    from matplotlib.figure import Figure  # slow to import, and only used here

    class NotebookFigure(Figure):
        def _repr_png_(self) -> bytes:  # Jupyter displays a `Figure` only after pyplot was imported
            file = BytesIO()
            self.savefig(file, format="png")
            return file.getvalue()

    if top < 1:
        raise ValueError(f"`top` must be at least 1. Received: top={top!r}")
    photo = display_size(image)
    panels = [(photo, Path(localization.image).name)]
    for detection in localization.detections[:top]:
        box = _shown_box(detection, localization, photo)
        picture = overlay(photo, _shown_map(detection), [box], alpha=alpha, colormap=colormap)
        remark = f", {detection.remark}" if detection.remark else ""
        panels.append((picture, f"{detection.label} {detection.score:.1%}{remark}"))
    columns = min(len(panels), 3)
    rows = math.ceil(len(panels) / columns)
    height = 4 * photo.shape[0] / photo.shape[1] + 0.4
    sheet = NotebookFigure(figsize=(4 * columns, height * rows), layout="constrained")
    for position, (picture, title) in enumerate(panels):
        axes = sheet.add_subplot(rows, columns, position + 1)
        axes.imshow(picture)
        axes.set_title(fill(plain_text(title), 42), parse_math=False)
        axes.set_axis_off()
    return sheet


def display_size(image: Photo, shortest: int = 320, longest: int = 2048) -> np.ndarray:
    """Scale a photo to a size at which lines and text drawn over it are legible on a screen.

    Args:
        image: a path, or an array (H, W, 3), RGB, 0..255.
        shortest: smaller photos are enlarged until their longer side has this many pixels.
        longest: larger photos are reduced until their longer side has this many pixels.

    Returns:
        uint8 (H', W', 3), RGB, with the same aspect ratio.

    Examples:
        >>> display_size(np.zeros((10, 20, 3), np.uint8)).shape
        (160, 320, 3)
    """
    if isinstance(image, str | Path):
        image = read_reduced(image, (longest, longest)).pixels
    photo = _photo(image)
    longer = max(photo.shape[:2])
    target = min(max(longer, shortest), longest)
    if target == longer:
        return photo
    return np.array(_fitted(photo, (target, target)))


def _fitted(photo: np.ndarray, size_wh: tuple[int, int]) -> Image.Image:
    """The photo scaled to fit the size. Unlike with `ImageOps.contain`, each side has at least one pixel."""
    height, width = photo.shape[:2]
    scale = min(size_wh[0] / width, size_wh[1] / height)
    fitted_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    return Image.fromarray(photo).resize(fitted_wh, Image.Resampling.BICUBIC)


def _photo(image: Photo) -> np.ndarray:
    """The image as uint8 (H, W, 3), perhaps the input array itself: do not write to it."""
    if isinstance(image, str | Path):
        return read_image(image)
    rule = "`image` must be a path or an RGB array (H, W, 3) with values in 0..255."
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[-1] != 3 or not array.size:
        raise ValueError(f"{rule} Received: an array of shape {array.shape}")
    if array.dtype == np.uint8:
        return array
    low, high = array.min(), array.max()
    # A float image with a maximum of at most 1 is probably scaled to 0..1 and would be drawn black.
    if not (low >= 0 and high <= 255) or (array.dtype.kind == "f" and 0 < high <= 1):
        raise ValueError(f"{rule} Received: {array.dtype} values from {low} to {high}")
    return np.rint(array).astype(np.uint8)


def _check_style(alpha: float, colormap: str) -> None:
    if not 0 <= alpha <= 1:
        raise ValueError(f"`alpha` must be in [0, 1]. Received: alpha={alpha!r}")
    if colormap not in COLORMAPS:
        raise ValueError(f"`colormap` must be one of {list(COLORMAPS)}. Received: colormap={colormap!r}")


def _blend(photo: np.ndarray, activation_map: np.ndarray, alpha: float, colormap: str) -> np.ndarray:
    if activation_map.ndim != 2 or not activation_map.size or not np.isfinite(activation_map).all():
        raise ValueError(
            "`activation_map` must be an array (h, w) of finite numbers. "
            f"Received: shape {activation_map.shape}, {activation_map.dtype}"
        )
    low, peak = activation_map.min(), activation_map.max()
    if peak <= 0 or low == peak:
        return photo
    height, width = photo.shape[:2]
    unit = (activation_map / peak).astype(np.float32)
    heat = cv2.resize(unit, (width, height), interpolation=cv2.INTER_LINEAR).clip(0, 1)
    colours_bgr = cv2.applyColorMap(np.rint(heat * 255).astype(np.uint8), COLORMAPS[colormap])
    opacity = alpha * heat
    return cv2.blendLinear(colours_bgr[..., ::-1], photo, opacity, 1 - opacity)


def _with_masks(
    photo: np.ndarray, detections: Sequence[Detection], boxes_xyxy: Sequence[BoxXYXY | None], alpha: float
) -> np.ndarray:
    """The photo with masks in the colours of their boxes, the first one on top."""
    picture = photo.copy()
    for position in reversed(range(len(detections))):
        found, box = detections[position], boxes_xyxy[position]
        if box is not None:
            mask = object_mask(found.activation_map, box, (photo.shape[1], photo.shape[0]), found.threshold)
            colour = np.array(COLOURS[position % len(COLOURS)])
            picture[mask] = np.rint(picture[mask] * (1 - alpha) + colour * alpha)
    return picture


def _shown_map(detection: Detection) -> np.ndarray | None:
    """The map to draw; None for a flat map, which would only tint the photo."""
    return None if detection.remark == FLAT_MAP else detection.activation_map


def _shown_box(detection: Detection, localization: Localization, photo: np.ndarray) -> BoxXYXY | None:
    """The box in pixels of `photo`, which may be a resized copy of the localized photo."""
    box_xyxy = detection.box_xyxy
    if box_xyxy is None or detection.remark == FLAT_MAP:
        return None
    x_scale = photo.shape[1] / localization.width
    y_scale = photo.shape[0] / localization.height
    xmin, ymin, xmax, ymax = box_xyxy
    return xmin * x_scale, ymin * y_scale, xmax * x_scale, ymax * y_scale
