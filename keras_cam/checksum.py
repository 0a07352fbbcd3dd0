"""A checksum inside a file: native code that runs a model may crash if the file is damaged."""

import zlib

_MARK, _DIGITS = b"keras-cam crc32 ", 8

NO_CHECKSUM = _MARK.decode() + "0" * _DIGITS
"""The text that is put anywhere into a file, and which `with_checksum` completes."""


def with_checksum(content: bytes) -> bytes:
    """Complete `NO_CHECKSUM` in the content of a file.

    Examples:
        >>> with_checksum(b"weights " + NO_CHECKSUM.encode() + b" more")
        b'weights keras-cam crc32 271fea2d more'
    """
    start = content.rindex(_MARK) + len(_MARK)
    return content[:start] + _checksum(content, start) + content[start + _DIGITS :]


def check_checksum(content: bytes) -> None:
    """Raise a `ValueError` if the content of a file does not have the checksum in it.

    A file without a checksum passes: earlier versions wrote none.

    Examples:
        >>> whole = with_checksum(b"weights " + NO_CHECKSUM.encode())
        >>> check_checksum(whole)
        >>> check_checksum(whole.replace(b"weights", b"heights"))
        Traceback (most recent call last):
        ...
        ValueError: the file is damaged: its content does not have its checksum
    """
    start = content.rfind(_MARK) + len(_MARK)
    if start >= len(_MARK) and content[start : start + _DIGITS] != _checksum(content, start):
        raise ValueError("the file is damaged: its content does not have its checksum")


def _checksum(content: bytes, start: int) -> bytes:
    """The CRC-32 of a content that has zeros in place of the checksum that starts there."""
    view = memoryview(content)
    value = zlib.crc32(view[:start])
    value = zlib.crc32(b"0" * _DIGITS, value)
    return f"{zlib.crc32(view[start + _DIGITS :], value):0{_DIGITS}x}".encode()
