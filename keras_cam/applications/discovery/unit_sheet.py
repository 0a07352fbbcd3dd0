"""A sheet to print: for each class its units, with what activates them."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_cam.drawing.html_page import html_image, html_page

_PATCH, _MARGIN, _CAPTION, _TITLE = 150, 10, 190, 44


@dataclass(frozen=True, eq=False)
class UnitRow:
    """A row of the sheet.

    Attributes:
        unit: the unit.
        weight: its weight for the class.
        receptive_field: the side of its empirical receptive field, as part of the image's; None if unknown.
        patches: square pictures, uint8 (S, S, 3), those that activate it most first.
    """

    unit: int
    weight: float
    receptive_field: float | None
    patches: Sequence[np.ndarray]

    @property
    def captions(self) -> list[str]:
        """What stands beside the patches, line by line."""
        lines = [f"unit {self.unit}", f"weight {self.weight:.2g}"]
        return lines + (
            [] if self.receptive_field is None else [f"field {self.receptive_field:.0%} of the side"]
        )


def draw_unit_sheet(classes: Mapping[str, Sequence[UnitRow]]) -> np.ndarray:
    """The sheet as a picture.

    Args:
        classes: for each class, by its name, its units in order.

    Returns:
        uint8 (H, W, 3), RGB.

    Examples:
        >>> row = UnitRow(7, 0.5, 0.25, [np.zeros((9, 9, 3), np.uint8)] * 3)
        >>> draw_unit_sheet({"cat": [row, row]}).shape
        (374, 680, 3)
    """
    step = _PATCH + _MARGIN
    most = max((len(row.patches) for rows in classes.values() for row in rows), default=0)
    height = sum(_TITLE + len(rows) * step for rows in classes.values()) + _MARGIN
    sheet = Image.new("RGB", (_CAPTION + most * step + _MARGIN, height), "white")
    draw = ImageDraw.Draw(sheet)
    y = _MARGIN
    for name, rows in classes.items():
        draw.text((_MARGIN, y), name, "black", ImageFont.load_default(26))
        y += _TITLE
        for row in rows:
            draw.multiline_text((_MARGIN, y), "\n".join(row.captions), "black", ImageFont.load_default(16))
            for column, patch in enumerate(row.patches):
                sheet.paste(Image.fromarray(_resized(patch)), (_CAPTION + column * step, y))
            y += step
    return np.array(sheet)


def unit_sheet_html(classes: Mapping[str, Sequence[UnitRow]], title: str) -> str:
    """The sheet as one HTML file with all pictures inside; in print, a class stays on one page if it fits.

    Args:
        classes: for each class, by its name, its units in order.
        title: the heading.

    Returns:
        The text of the file.
    """
    sections = []
    for name, rows in classes.items():
        lines = [f"<section><h2>{html.escape(name)}</h2><table>"]
        for row in rows:
            caption = "<br>".join(map(html.escape, row.captions))
            pictures = "".join(f"<td>{html_image(_resized(patch))}</td>" for patch in row.patches)
            lines.append(f"<tr><th>{caption}</th>{pictures}</tr>")
        sections.append("\n".join([*lines, "</table></section>"]))
    return html_page(title, "\n".join(sections))


def _resized(patch: np.ndarray) -> np.ndarray:
    return np.array(Image.fromarray(patch).resize((_PATCH, _PATCH), Image.Resampling.BICUBIC))
