"""Localize the new photos of a folder, every night: one line of JSON for each photo.

    python examples/nightly_batch.py photos/ records.jsonl
    python examples/nightly_batch.py photos/ records.jsonl --model cam --server localhost:8500

A photo that has a line in records.jsonl is skipped, so the command goes on after an interruption,
and each night adds only the new photos. A line has the best classes of its photo, with their
scores and boxes in pixels. The line of a photo that cannot be read has an error instead; delete it
to try the photo again.
"""

import argparse
import json
import os
from collections.abc import Iterable
from pathlib import Path

import keras_cam
from keras_cam.images.files import find_images
from keras_cam.inference import FailedImage, Localization, ServingClient


def main(photos: Path, records: Path, model: str, server: str | None, protocol: str) -> None:
    """Append a line to `records` for each photo below `photos` that has none."""
    done = photos_with_a_line(records)
    new = [path for path in find_images(photos.resolve(strict=True)) if path.is_file()]
    new = [path for path in new if str(path) not in done]
    failures = 0
    with records.open("a", encoding="utf-8") as file:
        for result in localized(new, model, server, protocol) if new else ():
            failed = isinstance(result, FailedImage)
            failures += failed
            line = {"image": result.image, "error": result.error} if failed else result.to_dict()
            file.write(json.dumps(line) + "\n")
            file.flush()  # what is done survives a kill
    print(f"{len(new) - failures} photos localized, {failures} failed, {len(done)} done before")


def photos_with_a_line(records: Path) -> set[str]:
    """The photos that are done. A last line that was cut off is removed from the file."""
    content = records.read_bytes() if records.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(records, len(whole))
    return {json.loads(line)["image"] for line in whole.splitlines()}


def localized(
    new: list[Path], model: str, server: str | None, protocol: str
) -> Iterable[Localization | FailedImage]:
    """The result of each photo, one batch at a time, from this machine or from a server."""
    if server is None:
        return keras_cam.localize_files(model, new, model_name=model)
    return ServingClient(server, model, protocol=protocol).localize(new)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="the folder, with photos at any depth")
    parser.add_argument("records", type=Path, help="the file of records, which grows")
    parser.add_argument("--model", default="efficientnet_lite0", help="name, file, name on server")
    parser.add_argument("--server", help="HOST:PORT of TensorFlow Serving (default: compute here)")
    parser.add_argument("--protocol", choices=("grpc", "rest"), default="grpc", help="its protocol")
    main(**vars(parser.parse_args()))
