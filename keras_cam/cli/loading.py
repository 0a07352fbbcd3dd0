"""Models and data of a command: what goes wrong with them is an error of usage."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from keras_cam.cli.console import complain
from keras_cam.cli.options import range_of
from keras_cam.cli.quiet_libraries import import_quietly, quiet_c_libraries
from keras_cam.cli.usage import UsageError
from keras_cam.inference.runtimes import AUTO, LOCALIZATION, TENSORFLOW, Task, load_fastest, starts_tensorflow
from keras_cam.progress import working

if TYPE_CHECKING:
    import keras

    from keras_cam.applications.features import FeatureExtractor
    from keras_cam.data import AnnotatedImages
    from keras_cam.inference import Localizer


def check_model(model: str) -> None:
    """Raise a `UsageError` if there is no such model, before TensorFlow is imported."""
    from keras_cam.models.registry import MODELS

    if model not in MODELS and not Path(model).exists():
        raise UsageError(
            "--model must be a .keras, .caffemodel or .pth file, an exported model or one of "
            f"{', '.join(MODELS)}. Received: {model}"
        )


def read_labels(path: Path | None) -> Sequence[str] | None:
    """Read the class names of `--labels`; None if it was not given."""
    from keras_cam.models.labels import read_labels as read

    try:
        return read(path) if path else None
    except ValueError as error:
        raise UsageError(f"--labels: {error}") from error


@contextmanager
def loading(
    model: str, runtime: str, options: Mapping[str, Any], task: Task = LOCALIZATION
) -> Iterator[None]:
    """Start TensorFlow if it is needed, and be quiet while a model is loaded with these options.

    What goes wrong becomes a `UsageError`.
    """
    starts = starts_tensorflow(model, runtime, task, **options)
    if starts:
        import_quietly()
    # LiteRT prints a banner, and its converter much more; TensorFlow printed its own when it was imported.
    quiet = not starts or runtime != TENSORFLOW
    with quiet_c_libraries() if quiet else nullcontext(), working(f"Loading {model}"), usage_errors_of(model):
        yield


def load_model(model: str, *, runtime: str = AUTO, photos: int = 1, **options: Any) -> "Localizer":
    """Load a localizer by name or file, quietly, see `load_fastest`. Raises a `UsageError` if that fails."""
    with loading(model, runtime, options):
        localizer = load_fastest(model, runtime, photos, **options)
    top_k = options.get("top_k")
    if top_k is not None and top_k > localizer.classes:
        complain(f"--top-k {top_k}: the model has {localizer.classes} classes, which are all localized")
    return localizer


def load_classifier(model: str, smallest_size: int = 0) -> "keras.Model":
    """Load a classifier by name or file. Raises a `UsageError` if that fails, or if it is a localizer."""
    from keras_cam.inference.load import load_classifier as load
    from keras_cam.localizer import gives_boxes

    with usage_errors_of(model):
        classifier = load(model, smallest_size)
    if gives_boxes(classifier):
        raise UsageError(f"--model must be a classifier. Received: {model}, which is a localizer")
    return classifier


def load_backbone(model: str, layer: str | None = None, smallest_size: int = 0) -> "keras.Model":
    """Load a model up to a layer, by default up to the features that it pools.

    Raises a `UsageError` if that fails.
    """
    from keras_cam.applications.features import backbone_of
    from keras_cam.inference.load import load_classifier

    with usage_errors_of(model):
        return backbone_of(load_classifier(model, smallest_size), layer)


def load_extractor(model: str, layer: str | None, runtime: str, photos: int) -> "FeatureExtractor":
    """Load what pools the features of a model, quietly. Raises a `UsageError` if that fails."""
    from keras_cam.applications.features.feature_extractor import FEATURES, FeatureExtractor

    with loading(model, runtime, {"layer": layer}, FEATURES):
        return FeatureExtractor.load(model, layer, runtime, photos)


@contextmanager
def usage_errors_of(model: str) -> Iterator[None]:
    """Turn what goes wrong while a model is loaded into a `UsageError`."""
    try:
        with redirect_stdout(sys.stderr):  # Keras reports downloads on stdout, where JSON goes
            yield
    # Keras raises TypeError for an unknown layer and a plain Exception for a failed download.
    except Exception as error:
        raise UsageError(f"--model {model}: {shorten(str(error), 600)}") from error


def read_data(args: argparse.Namespace, split: str | None, strict: bool = False) -> "AnnotatedImages":
    """Read a split of the data that the options of `keras_cam.cli.options.add_data` name.

    Wrong annotations are reported on stderr.

    Raises:
        ValueError: there is no usable image; or, if `strict`, an annotation is wrong.
    """
    from keras_cam.data import read_annotations
    from keras_cam.data.tfds_source import is_tfds

    if is_tfds(args.data):  # which imports TensorFlow
        import_quietly()
    annotated = read_annotations(
        args.data, split, strict=strict, allow_outside=args.allow_outside, value_range=range_of(args)
    )
    report_problems(annotated)
    return annotated


def report_problems(annotated: "AnnotatedImages") -> None:
    """Report wrong annotations on stderr."""
    from keras_cam.data import describe_problems

    if annotated.problems:
        complain(*describe_problems(annotated.problems).split("\n"))


def save_model(model: "keras.Model", path: Path) -> None:
    """Save a model to a `.keras` file, which appears whole or not at all."""
    from keras_cam.images.whole_file import whole_file

    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as unfinished:
        model.save(unfinished)
