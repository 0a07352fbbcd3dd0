"""Names as text that every renderer and encoder takes."""


def plain_text(text: str) -> str:
    """Replace what is no text: bytes of file names that are not UTF-8, and control characters.

    Examples:
        >>> plain_text("caf\\udce9 $\\\\alpha$\\x00")
        'caf\ufffd $\\\\alpha$\ufffd'
    """
    decoded = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in decoded)
