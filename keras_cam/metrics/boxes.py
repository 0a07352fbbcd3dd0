"""IoU of boxes, and boxes with their classes as one tensor."""

from typing import Any

from keras import ops


def box_ious(boxes_a: Any, boxes_b: Any) -> Any:
    """IoU of each box of one list with each of another.

    Boxes have half-open maxima. Both lists must share the unit and the order, `xyxy` or `yxyx`.

    Args:
        boxes_a: (..., N, 4), two minima and two maxima each.
        boxes_b: (..., M, 4).

    Returns:
        (..., N, M) float32. The IoU with an empty box is 0.

    Examples:
        >>> box_ious([[0, 0, 4, 4]], [[2, 0, 4, 4], [4, 4, 8, 8], [0, 0, 0, 0]]).numpy().tolist()
        [[0.5, 0.0, 0.0]]
    """
    boxes_a = ops.cast(boxes_a, "float32")[..., :, None, :]
    boxes_b = ops.cast(boxes_b, "float32")[..., None, :, :]
    low = ops.maximum(boxes_a[..., :2], boxes_b[..., :2])
    high = ops.minimum(boxes_a[..., 2:], boxes_b[..., 2:])
    common = ops.prod(ops.relu(high - low), axis=-1)
    size_a, size_b = (ops.prod(ops.relu(boxes[..., 2:] - boxes[..., :2]), -1) for boxes in (boxes_a, boxes_b))
    union = size_a + size_b - common
    return ops.where(union > 0, common / ops.where(union > 0, union, 1.0), 0.0)


def pack_boxes(classes: Any, boxes: Any) -> Any:
    """Classes and boxes as one tensor, for a model with a single output.

    Args:
        classes: (B, N) integers, -1 where there is no box.
        boxes: (B, N, 4).

    Returns:
        (B, N, 5) float32: class and box in each row.

    Examples:
        >>> pack_boxes([[7]], [[[1, 2, 3, 4]]]).numpy().tolist()
        [[[7.0, 1.0, 2.0, 3.0, 4.0]]]
    """
    return ops.concatenate([ops.cast(classes, "float32")[..., None], ops.cast(boxes, "float32")], axis=-1)


def unpack_boxes(packed: Any, classes_key: str, boxes_key: str) -> tuple[Any, Any]:
    """Classes (B, N) and boxes (B, N, 4), from a packed tensor or from a dict with both.

    Raises:
        ValueError: `packed` is neither.

    Examples:
        >>> classes, boxes = unpack_boxes({"detection_classes": [[7]], "boxes": [[[0, 0, 1, 1]]]},
        ...                               "detection_classes", "boxes")
        >>> classes.numpy().tolist(), boxes.shape
        ([[7]], TensorShape([1, 1, 4]))
    """
    if isinstance(packed, dict):
        if missing := {classes_key, boxes_key} - set(packed):
            raise ValueError(f"The dict needs {sorted(missing)}. Received: {sorted(packed)}")
        return (
            ops.cast(packed[classes_key], "int32"),
            ops.cast(packed[boxes_key], "float32"),
        )
    packed = ops.convert_to_tensor(packed, "float32")
    if len(packed.shape) != 3 or packed.shape[-1] != 5:
        raise ValueError(
            f"Classes and boxes must be (B, N, 5), or a dict of {classes_key!r} (B, N) and {boxes_key!r} "
            f"(B, N, 4). Received: shape {tuple(packed.shape)}"
        )
    return ops.cast(packed[..., 0], "int32"), packed[..., 1:]
