"""Confidence intervals of rates."""

from scipy.stats import binomtest


def wilson_interval(successes: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a rate.

    Args:
        successes: int, the number of images that are counted.
        total: int, the number of all images.
        confidence: float in (0, 1).

    Returns:
        `(low, high)` in [0, 1].

    Raises:
        ValueError: no images, or more successes than images.

    Reference:
        Wilson, JASA 1927, "Probable Inference, the Law of Succession, and Statistical Inference".

    Examples:
        >>> low, high = wilson_interval(67, 100)
        >>> round(low, 4), round(high, 4)
        (0.5731, 0.7544)
    """
    if total < 1 or not 0 <= successes <= total:
        raise ValueError(
            "`successes` must be at most `total` and `total` at least 1. "
            f"Received: successes={successes}, total={total}"
        )
    interval = binomtest(int(successes), int(total)).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)
