"""Drawing boxes and labels, legible on any photo."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_cam.inference.records import BoxXYXY, whole_pixels

Rectangle = tuple[int, int, int, int]  # xmin, ymin, xmax, ymax with half-open maxima

# White, then colour-blind-safe hues of Okabe and Ito that contrast with photos and colour maps.
COLOURS = ((255, 255, 255), (86, 180, 233), (0, 200, 140), (240, 228, 66), (255, 150, 200))
_BLACK = (0, 0, 0)


def draw_boxes(
    image: np.ndarray, boxes_xyxy: Sequence[BoxXYXY | None], texts: Sequence[tuple[str, str]] = ()
) -> np.ndarray:
    """Draw boxes as coloured lines with a black outline, and their texts on plates of the same colour.

    Line width and font size scale with the image. Plates stay inside the image and do not overlap while
    there is room; a text too long for the image is shortened.

    Args:
        image: uint8 (H, W, 3), RGB. It is not modified.
        boxes_xyxy: boxes in pixels with half-open maxima; the coloured line runs along the inside of the box.
            None draws no box, and puts its text into the upper left corner.
        texts: for each box, a text that may be shortened and an ending that is kept, such as a label and its
            score.

    Returns:
        uint8 (H, W, 3), RGB.

    Examples:
        >>> picture = draw_boxes(np.zeros((20, 20, 3), np.uint8), [(5.0, 5.0, 15.0, 15.0)])
        >>> picture[10, 3:17, 0].tolist()
        [0, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0]
    """
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    unit = math.sqrt(canvas.width * canvas.height)
    line = max(1, round(unit / 160))
    rectangles = [None if box is None else whole_pixels(box, canvas.size) for box in boxes_xyxy]
    for position, rectangle in reversed(list(enumerate(rectangles))):  # the first box on top
        if rectangle is not None:
            _outline(draw, rectangle, line, COLOURS[position % len(COLOURS)])
    taken: list[Rectangle] = []
    for position, (text, rectangle) in enumerate(zip(texts, rectangles, strict=False)):
        plate = _Plate(text, unit, canvas.width)
        corner = plate.place(rectangle or (0, 0, 0, 0), line, canvas.size, taken)
        plate.draw(draw, corner, COLOURS[position % len(COLOURS)])
    return np.array(canvas)


def _outline(
    draw: ImageDraw.ImageDraw, rectangle: Rectangle, line: int, colour: tuple[int, int, int]
) -> None:
    xmin, ymin, xmax, ymax = rectangle
    edge = max(1, line // 2)
    inclusive = (xmin, ymin, xmax - 1, ymax - 1)  # Pillow's rectangles include their maxima
    around = (xmin - edge, ymin - edge, xmax - 1 + edge, ymax - 1 + edge)
    draw.rectangle(around, outline=_BLACK, width=line + 2 * edge)
    draw.rectangle(inclusive, outline=colour, width=line)


class _Plate:
    """A line of text on a coloured background."""

    def __init__(self, text: tuple[str, str], unit: float, widest: int):
        size = max(9.0, unit / 24)
        self.font = ImageFont.load_default(size)
        self.padding = round(size / 4)
        self.text = self._fitting(*text, widest - 2 * self.padding)
        # From letters with ascenders and descenders, so that all plates have the same height.
        _, top, _, bottom = self.font.getbbox("Ågjp|")
        self.top = top
        self.width = min(math.ceil(self.font.getlength(self.text)) + 2 * self.padding, widest)
        self.height = math.ceil(bottom - top) + self.padding

    def _fitting(self, text: str, ending: str, widest: float) -> str:
        whole = f"{text} {ending}".strip()
        while self.font.getlength(whole) > widest and text:
            text = text[:-1]
            whole = f"{text.rstrip()}… {ending}".strip()
        return whole

    def place(
        self, rectangle: Rectangle, line: int, size_wh: tuple[int, int], taken: list[Rectangle]
    ) -> tuple[int, int]:
        """Return the first free position: above the box, inside it, below it, then from the top down."""
        x = max(0, min(rectangle[0] - max(1, line // 2), size_wh[0] - self.width))
        lowest = max(0, size_wh[1] - self.height)
        for y in self._candidates(rectangle, line, lowest):
            place = (x, y, x + self.width, y + self.height)
            if 0 <= y <= lowest and not any(_overlap(place, other) for other in taken):
                taken.append(place)
                return x, y
        return x, min(rectangle[1], lowest)

    def _candidates(self, rectangle: Rectangle, line: int, lowest: int) -> Iterator[int]:
        _, ymin, _, ymax = rectangle
        edge = max(1, line // 2)
        yield from (ymin - edge - self.height, ymin, ymax + edge)
        yield from range(0, lowest + 1, self.height)

    def draw(self, draw: ImageDraw.ImageDraw, corner: tuple[int, int], colour: tuple[int, int, int]) -> None:
        x, y = corner
        draw.rectangle((x, y, x + self.width - 1, y + self.height - 1), fill=colour, outline=_BLACK)
        draw.text((x + self.padding, y + self.padding // 2 - self.top), self.text, _BLACK, self.font)


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
