"""What the metrics take: the ground truth, and of a localizer's outputs those of the true class.

`y_true` is a dict. B images have up to G boxes each:

- `classes` (B, G) integers: the class of each box, -1 where there is no box.
- `boxes` (B, G, 4): the boxes, in the unit and order of those of `y_pred`. A localizer gives ymin, xmin,
  ymax, xmax in [0, 1] of the image.
- `labels` (B,) integers, optional: the class of each image. Boxes of other classes do not count then. Without
  it the metrics of the known class take the class of an image's first box.
- `sizes_wh` (B, 2), optional: the width and height of each image in pixels, for metrics that measure in
  pixels of the original image.

`y_pred` is the dict of a localizer's outputs. R rows an image may belong to any classes. The metrics of the
known class use the rows of the true class; an image that has none is wrong. A localizer that was built with
`top_k="all"` or `class_ids="input"` has these rows for every image.
"""

from typing import Any

from keras import ops

from keras_cam.metrics.boxes import unpack_boxes


def true_boxes(y_true: Any) -> tuple[Any, Any]:
    """The ground truth.

    Args:
        y_true: the dict, or classes and boxes packed by `pack_boxes`, (B, G, 5).

    Returns:
        `(classes, boxes)`: int32 (B, G), -1 for boxes that do not count, and float32 (B, G, 4).

    Examples:
        >>> y_true = {"labels": [3], "classes": [[3, 5]], "boxes": [[[0, 0, 1, 1], [0, 0, 2, 2]]]}
        >>> true_boxes(y_true)[0].numpy().tolist()
        [[3, -1]]
    """
    classes, boxes = unpack_boxes(y_true, "classes", "boxes")
    if isinstance(y_true, dict) and "labels" in y_true:
        labels = ops.cast(y_true["labels"], "int32")[:, None]
        classes = ops.where(classes == labels, classes, -1)
    return classes, boxes


def true_labels(y_true: Any) -> Any:
    """The class of each image, int32 (B,): its label, else the class of its first box; -1 if it has none.

    Examples:
        >>> true_labels({"classes": [[5, 3], [-1, 2]], "boxes": [[[0, 0, 1, 1]] * 2] * 2}).numpy().tolist()
        [5, 2]
    """
    if isinstance(y_true, dict) and "labels" in y_true:
        return ops.cast(y_true["labels"], "int32")
    classes, _ = unpack_boxes(y_true, "classes", "boxes")
    first = ops.argmax(ops.cast(classes >= 0, "int32"), axis=1)
    return ops.take_along_axis(classes, ops.cast(first, "int32")[:, None], axis=1)[:, 0]


def truth_of_true_class(y_true: Any) -> Any:
    """The ground-truth boxes of each image's true class.

    Args:
        y_true: the dict or packed (B, G, 5); or boxes of the true class alone, (B, G, 4).

    Returns:
        float32 (B, G, 4), zeros in place of boxes that do not count.
    """
    if not _has_classes(y_true):
        return ops.cast(y_true, "float32")
    return _only(true_labels(y_true), *true_boxes(y_true))


def boxes_of_true_class(y_true: Any, y_pred: Any) -> Any:
    """The predicted boxes of each image's true class.

    Args:
        y_true: the ground truth; only its classes matter, and only if `y_pred` has classes too.
        y_pred: a localizer's outputs, or packed (B, R, 5); or boxes of the true class alone, (B, R, 4), or
            one an image, (B, 4).

    Returns:
        float32 (B, R, 4), zeros in place of boxes of other classes.

    Raises:
        ValueError: the predictions have classes and the ground truth has none.
    """
    if not _has_classes(y_pred):
        found = ops.convert_to_tensor(y_pred, "float32")
        return found[:, None] if len(found.shape) == 2 else found
    _check_classes(y_true)
    return _only(true_labels(y_true), *unpack_boxes(y_pred, "detection_classes", "detection_boxes"))


def count_boxes(boxes: Any) -> Any:
    """How many boxes of each image are not empty: int32 (B,), from boxes (B, G, 4).

    Examples:
        >>> count_boxes([[[0, 0, 2, 2], [0, 0, 0, 0]], [[0, 0, 0, 0]] * 2]).numpy().tolist()
        [1, 0]
    """
    boxes = ops.convert_to_tensor(boxes)
    return ops.sum(ops.cast(ops.all(boxes[..., 2:] > boxes[..., :2], axis=-1), "int32"), axis=1)


def map_of_true_class(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """The map from which a localizer cuts the boxes of the true class: its refined one, if it refines.

    Args:
        y_true: the ground truth; only its classes matter, and only if `y_pred` is a dict.
        y_pred: a localizer's outputs, or the maps of the true class alone, (B, h, w) or (B, 1, h, w).

    Returns:
        `(maps, found)`: (B, h, w), zeros for an image without a row of its true class; and bool (B,), which
        images have such a row.

    Raises:
        ValueError: several maps for an image; or the maps have classes and the ground truth has none.

    Examples:
        >>> y_true = {"labels": [3], "classes": [[3]], "boxes": [[[0, 0, 1, 1]]]}
        >>> y_pred = {"detection_classes": [[5, 3]], "class_activation_maps": [[[[0.0, 1.0]], [[2.0, 3.0]]]]}
        >>> map_of_true_class(y_true, y_pred)[0].numpy().tolist()
        [[[2.0, 3.0]]]
    """
    if not isinstance(y_pred, dict):
        maps = one_map_an_image(y_pred)
        return maps, ops.ones_like(maps[:, 0, 0], "bool")
    _check_classes(y_true)
    maps = ops.convert_to_tensor(y_pred.get("localization_maps", y_pred["class_activation_maps"]))
    same = ops.cast(y_pred["detection_classes"], "int32") == true_labels(y_true)[:, None]
    row = ops.cast(ops.argmax(ops.cast(same, "int32"), axis=1), "int32")[:, None, None, None]
    found = ops.any(same, axis=1)
    maps = ops.take_along_axis(maps, row, axis=1)[:, 0]
    return ops.where(found[:, None, None], maps, ops.zeros_like(maps)), found


def one_map_an_image(maps: Any) -> Any:
    """Maps (B, h, w), from those or from (B, 1, h, w).

    Raises:
        ValueError: several maps for an image.

    Examples:
        >>> one_map_an_image([[[[1.0, 2.0]]]]).shape
        TensorShape([1, 1, 2])
    """
    maps = ops.convert_to_tensor(maps)
    if len(maps.shape) == 4 and maps.shape[1] == 1:
        maps = maps[:, 0]
    if len(maps.shape) != 3:
        raise ValueError(
            f"There must be one map an image: (B, h, w) or (B, 1, h, w). Received: shape {tuple(maps.shape)}"
        )
    return maps


def _has_classes(boxes: Any) -> bool:
    return isinstance(boxes, dict) or (len(ops.shape(boxes)) == 3 and ops.shape(boxes)[-1] == 5)


def _check_classes(y_true: Any) -> None:
    if not _has_classes(y_true):
        raise ValueError(
            "Predictions with classes need a `y_true` with classes: a dict of `classes` (B, G) and `boxes` "
            f"(B, G, 4), or both packed. Received: `y_true` of shape {tuple(ops.shape(y_true))}"
        )


def _only(labels: Any, classes: Any, boxes: Any) -> Any:
    """Boxes (B, N, 4), zeros where the class (B, N) is not the label (B,), or the label is negative."""
    counts = ops.logical_and(classes == labels[:, None], labels[:, None] >= 0)
    return ops.where(counts[..., None], boxes, ops.zeros_like(boxes))
