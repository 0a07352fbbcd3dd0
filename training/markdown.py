"""Text of unknown origin in Markdown."""

import re

from keras_cam.plain_text import plain_text


def markdown_text(text: str) -> str:
    r"""Escape a text so that Markdown shows it as it is: no link, picture, HTML or new cell of a table.

    Examples:
        >>> markdown_text("![x](http://host) <b> a|b")
        '\\!\\[x\\](http://host) \\<b\\> a\\|b'
    """
    return re.sub(r"([\\`*_\[\]<>|~$&#!])", r"\\\1", plain_text(text))


def markdown_code(text: str, language: str) -> str:
    """A block of code, in a fence that the text itself cannot close.

    Examples:
        >>> markdown_code("ls", "bash")
        '```bash\\nls\\n```'
    """
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
