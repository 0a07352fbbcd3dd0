"""One request over HTTP to a server that is not trusted: bounded in time and in bytes.

The timeout of a socket holds for one read, so that a server which sends a byte a second never meets it.
Here the connection is cut at the deadline, whatever was sent until then.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from time import monotonic
from typing import NamedTuple
from urllib.parse import urlsplit


class UnreachableError(OSError):
    """No connection was made, so that the request was not sent."""


class Answer(NamedTuple):
    """What a server answered.

    Attributes:
        status: such as 200. A redirect is not followed.
        retry_after: how many seconds the server wants to be left alone, 0 if it does not say.
        content: the bytes of the answer.
    """

    status: int
    retry_after: float
    content: bytes


def http_exchange(method: str, url: str, content: bytes | None, deadline: float, most_bytes: int) -> Answer:
    """Send a request and read the answer.

    Args:
        method: such as "GET".
        url: an `http://` address.
        content: the JSON to send, or None.
        deadline: the time by `time.monotonic()` at which the connection is cut.
        most_bytes: the limit of the answer.

    Raises:
        UnreachableError: no connection was made.
        TimeoutError: the answer was not complete at the deadline.
        ValueError: the answer has more than `most_bytes`.
        OSError, HTTPException: the connection broke, or the answer is no HTTP.

    Examples:
        >>> http_exchange("GET", "http://127.0.0.1:9/", None, monotonic() + 5, most_bytes=1000)
        Traceback (most recent call last):
        ...
        keras_cam.inference.http_exchange.UnreachableError: Connection refused
    """
    parts = urlsplit(url)
    with _connection(parts.netloc, deadline) as connection:
        connection.request(method, parts.path, content, {"Content-Type": "application/json"})
        with connection.getresponse() as response:
            received = b"" if (response.length or 0) > most_bytes else response.read(most_bytes + 1)
            if max(len(received), response.length or 0) > most_bytes:
                raise ValueError(f"more than {most_bytes:,} bytes")
            if response.length:
                raise ConnectionError("the answer ends too early")
            seconds = response.headers.get("Retry-After", "")
            pause = float(seconds[:9]) if seconds.isdecimal() else 0.0
            return Answer(response.status, pause, received)


@contextmanager
def _connection(host: str, deadline: float) -> Iterator[HTTPConnection]:
    try:
        left = max(deadline - monotonic(), 1e-3)
        connection = HTTPConnection(host, timeout=left)
        connection.connect()
    except (OSError, HTTPException) as error:
        if monotonic() >= deadline:
            raise TimeoutError from error
        raise UnreachableError(getattr(error, "strerror", None) or str(error)) from error
    cut = threading.Timer(deadline - monotonic(), _cut, [connection.sock])
    cut.start()
    try:
        yield connection
        if monotonic() >= deadline:  # an answer without a length looks complete when it is cut
            raise TimeoutError
    except (OSError, HTTPException, ValueError) as error:
        if monotonic() >= deadline:
            raise TimeoutError from error
        raise
    finally:
        cut.cancel()
        connection.close()


def _cut(connected: socket.socket) -> None:
    with suppress(OSError):  # it was closed meanwhile
        connected.shutdown(socket.SHUT_RDWR)
