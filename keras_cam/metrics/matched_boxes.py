"""How many boxes of an image are right, each true box counting once."""

import numpy as np

from keras_cam.metrics.boxes import box_ious


def count_matched_boxes(found: np.ndarray, truth: np.ndarray, iou_threshold: float = 0.5) -> int:
    """Count the boxes that find a true box; of several boxes of one object only the first counts.

    Args:
        found: (N, 4), best first; both in one unit and order, with half-open maxima.
        truth: (M, 4).
        iou_threshold: float in [0, 1], the IoU that suffices.

    Returns:
        The number of pairs. Divided by M it is the recall, divided by N the precision.

    Reference:
        Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010, section 4.2.

    Examples: the second box finds what the first has found.
        >>> count_matched_boxes([[0, 0, 4, 4], [0, 0, 4, 3], [8, 8, 9, 9]], [[0, 0, 4, 4], [5, 5, 8, 8]])
        1
    """
    ious = np.array(box_ious(found, truth)) if len(found) and len(truth) else np.zeros((0, 0))
    matched = 0
    for row in ious:
        best = int(row.argmax())
        if row[best] >= iou_threshold:
            matched += 1
            ious[:, best] = -1.0
    return matched
