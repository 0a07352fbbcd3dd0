"""Text of unknown origin, made safe to show."""

# Not printable by Python's rule, but harmless parts of names: special spaces, and the joiners of Persian and
# of emoji.
_HARMLESS = "\u00a0\u3000\u200c\u200d"


def plain_text(text: str, longest: int | None = None) -> str:
    r"""Show what is invisible in a text, so that one line stays one line and a terminal obeys none of it.

    Control characters, such as those with which terminals are steered, line separators, marks that reverse
    the direction of writing and bytes that are no text become escapes like those of Python. Everything else,
    in any script, is left as it is.

    Args:
        text: the name of a file, a label, an answer of a server.
        longest: the number of characters after which the text is cut; None for no limit.

    Examples:
        >>> plain_text("holiday\x1b[2J.png"), plain_text("a\nb"), plain_text("Žofín 象")
        ('holiday\\x1b[2J.png', 'a\\nb', 'Žofín 象')
        >>> plain_text("a long story", longest=6)
        'a long…'
    """
    if longest is not None and len(text) > longest:
        text = text[:longest] + "…"
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character.isprintable() or character in _HARMLESS:
        return character
    return character.encode("unicode_escape").decode()
