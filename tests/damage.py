"""Accidents that files have, for tests."""

import numpy as np


def damaged(content, other, rng):
    """The content after one accident."""

    def cut():
        return np.sort(rng.integers(0, len(content) + 1, 2))

    first, last = cut()
    changed = bytearray(content)
    accident = rng.choice(
        ["none", "cut", "bits", "header", "noise", "zeros", "lost", "again", "other", "more"]
    )
    if accident == "cut":
        return content[:last]
    if accident == "bits" and content:
        for place in rng.integers(0, len(content), rng.integers(1, 20)):
            changed[place] ^= 1 << rng.integers(8)
    if accident == "header" and content:
        for place in rng.integers(0, min(len(content), 64), rng.integers(1, 5)):
            changed[place] = rng.choice([0, 1, 127, 128, 254, 255])
    if accident == "noise":
        changed[first:last] = rng.bytes(last - first)
    if accident == "zeros":
        changed[first:last] = bytes(last - first)
    if accident == "lost":
        del changed[first:last]
    if accident == "again":
        changed[last:last] = content[first:last]
    if accident == "other":
        changed[first:] = other[len(other) // 2 :]
    if accident == "more":
        changed += rng.bytes(rng.integers(1, 1000))
    return bytes(changed)
