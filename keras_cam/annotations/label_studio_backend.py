"""A machine learning backend for Label Studio, https://labelstud.io/guide/ml_create.

It answers the requests of Label Studio itself, with the standard library: label-studio-ml 1.0.9, the newest
on PyPI, needs Flask 1.1.
"""

import json
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import unquote

from keras_cam.annotations.label_studio import LOCAL_FILES, Interface, prediction
from keras_cam.annotations.selection import Selection
from keras_cam.images.files import ImageError
from keras_cam.inference.files import localize_files
from keras_cam.inference.localizer import Localizer
from keras_cam.inference.records import FailedImage

_LARGEST_REQUEST = 64 << 20


class LabelStudioBackend:
    """Predicts for Label Studio's tasks.

    Args:
        localizer: the localizer.
        images_dir: Label Studio's LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT: photos outside are not read.
        model_version: the name that predictions bear.
        selection: which detections become regions.
        masks: whether masks are predicted, where the labelling interface has brushes.
    """

    def __init__(
        self,
        localizer: Localizer,
        images_dir: str | Path,
        model_version: str = "keras-cam",
        selection: Selection = Selection(),  # noqa: B008  (frozen)
        masks: bool = False,
    ) -> None:
        self.model_version = model_version
        self._localizer, self._selection, self._masks = localizer, selection, masks
        self._root = Path(images_dir).resolve()
        self._lock = Lock()  # not every runtime may be called by several threads

    def predict(
        self, tasks: Sequence[Mapping[str, Any]], label_config: str | None = None
    ) -> list[dict[str, Any]]:
        """A prediction for each task.

        Args:
            tasks: Label Studio's tasks, whose `data` name a photo as a local file.
            label_config: the labelling interface of the project; None for that of `label_config.xml`.

        Raises:
            ImageError: a photo cannot be read.
            ValueError: a task names no local file, or the interface has no rectangles for an image.
        """
        interface = Interface.from_xml(label_config) if label_config else Interface()
        paths = [self._path(task["data"].get(interface.variable)) for task in tasks]
        with self._lock:
            results = list(localize_files(self._localizer, paths, model_name=self.model_version))
        for result in results:
            if isinstance(result, FailedImage):
                raise ValueError(result.error)
        return [prediction(self._selection(one), self._masks, interface) for one in results]  # type: ignore[arg-type]

    def _path(self, url: Any) -> Path:
        if not isinstance(url, str) or not url.startswith(LOCAL_FILES):
            raise ValueError(f"Photos must be local files, {LOCAL_FILES}PATH. Received: {url!r}")
        path = (self._root / unquote(url.removeprefix(LOCAL_FILES), errors="surrogateescape")).resolve()
        if not path.is_relative_to(self._root):
            raise ValueError(f"Photos must be below {self._root}. Received: {url!r}")
        if not path.is_file():
            raise ImageError(path, "no such file")
        return path


def backend_server(backend: LabelStudioBackend, host: str, port: int) -> ThreadingHTTPServer:
    """An HTTP server for Label Studio: `serve_forever()` runs it.

    Args:
        backend: what predicts.
        host: the address to listen at.
        port: the port; 0 chooses a free one, see `server_address`.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path in ("/", "/health")
            self._answer({"status": "UP", "model_class": "keras-cam"} if known else {}, 200 if known else 404)

        def do_POST(self) -> None:
            given = self.headers.get("Content-Length", "0")
            if not given.isdecimal():
                self._answer({"error": f"Content-Length must be a number of bytes. Received: {given}"}, 400)
                return
            length = int(given)
            if length > _LARGEST_REQUEST:
                self._answer({"error": f"more than {_LARGEST_REQUEST} bytes"}, 413)
                return
            try:
                self._answer(_reply(backend, self.path, json.loads(self.rfile.read(length) or b"{}")))
            except LookupError:
                self._answer({"error": f"no such path or field: {self.path}"}, 404)
            except (ValueError, TypeError, AttributeError) as error:
                self._answer({"error": str(error)}, 400)

        def _answer(self, content: Mapping[str, Any], status: int = 200) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Quiet: Label Studio asks for the health of a backend all the time."""

    return ThreadingHTTPServer((host, port), Handler)


def _reply(backend: LabelStudioBackend, path: str, request: Mapping[str, Any]) -> dict[str, Any]:
    if path == "/setup":
        return {"model_version": backend.model_version}
    if path == "/predict":
        results = backend.predict(request["tasks"], request.get("label_config"))
        return {"results": results, "model_version": backend.model_version}
    raise LookupError(path)
