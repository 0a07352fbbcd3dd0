"""Classes named by their rank."""

from typing import Any

from keras import ops

from keras_cam.ops.gathering import gather_rows


def classes_of_ranks(class_ids: Any, logits: Any) -> Any:
    """Replace negative numbers by the best classes: -1 by the best one, -2 by the second best.

    So maps of the best classes can be asked for before anybody knows these, in one pass.

    Args:
        class_ids: integer tensor (B, K), in [-N, N).
        logits: tensor (B, N).

    Returns:
        int32 (B, K), in [0, N). Of equal logits the first is better.

    Examples:
        >>> classes_of_ranks([[2, -1, -2]], [[0.5, 3.0, 0.1]]).numpy().tolist()
        [[2, 1, 0]]
    """
    class_ids, logits = ops.convert_to_tensor(class_ids, "int32"), ops.convert_to_tensor(logits)
    by_rank = ops.cast(ops.top_k(logits, logits.shape[-1])[1], "int32")
    return ops.where(class_ids < 0, gather_rows(by_rank, ops.maximum(-1 - class_ids, 0)), class_ids)
