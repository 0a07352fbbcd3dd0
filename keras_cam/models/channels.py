"""Numbers of channels that suit the hardware."""


def round_channels(channels: float) -> int:
    """Round to a multiple of 8, but not down by more than 10 %.

    Examples:
        >>> round_channels(18), round_channels(20), round_channels(11.9)
        (24, 24, 16)
    """
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
