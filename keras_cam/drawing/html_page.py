"""Self-contained HTML pages, with embedded pictures and style."""

import base64
from html import escape
from importlib.resources import files
from io import BytesIO
from string import Template

import numpy as np
from PIL import Image


def html_page(title: str, body: str) -> str:
    """Make a page with the common style of the package's pages.

    Args:
        title: the heading, as plain text.
        body: the HTML below the heading. The style's CSS classes are in `page.html` in this folder.

    Returns:
        The text of the file.

    Examples:
        >>> "<h1>Cats &amp; dogs</h1>" in html_page("Cats & dogs", "<p>None yet.</p>")
        True
    """
    template = Template((files("keras_cam.drawing") / "page.html").read_text(encoding="utf-8"))
    page = template.substitute(title=escape(title), body=body)
    # A name of a file may hold bytes that are not text, which an encoder would refuse.
    return page.encode("utf-8", "replace").decode("utf-8")


def html_image(picture: np.ndarray, description: str = "") -> str:
    """Make an `img` element with an embedded JPEG.

    Args:
        picture: uint8 (H, W, 3), RGB.
        description: the alternative text.

    Examples:
        >>> html_image(np.zeros((8, 8, 3), np.uint8), "a <cat>").partition(",")[0]
        '<img alt="a &lt;cat&gt;" src="data:image/jpeg;base64'
    """
    file = BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=85)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="{escape(description)}" src="data:image/jpeg;base64,{data}">'
