"""`keras-cam features`: pooled features of images, and a linear classifier trained on them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_cam.cli.console import complain, print_table, progress, say
from keras_cam.cli.loading import check_model, load_backbone, load_extractor, read_data, save_model
from keras_cam.cli.options import add_batch_size, add_data, add_layer, add_model, add_runtime, add_slice
from keras_cam.cli.quiet_libraries import import_quietly
from keras_cam.cli.usage import DONE, SOME_FAILED, UsageError, check_suffix
from keras_cam.progress import working

if TYPE_CHECKING:
    from keras_cam.applications.features import FeatureExtractor, FeatureTable, LinearSvm
    from keras_cam.data import AnnotatedImages


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `keras-cam`."""
    parser = commands.add_parser(
        "features",
        help="extract pooled features of images, and train a linear SVM on them that has maps, too",
    )
    parser.set_defaults(run=run)
    add_data(parser)
    parser.add_argument("--split", help="which part of the data, such as train")
    parser.add_argument("--test-split", metavar="SPLIT", help="another part, on which the SVM is measured")
    add_model(parser)
    add_layer(parser)
    add_runtime(parser, prepared="")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write the features to this .npz or .parquet file"
    )
    add_slice(parser)
    parser.add_argument(
        "--classifier",
        type=Path,
        metavar="FILE",
        help="train a linear SVM and write it as a .keras model, for `keras-cam localize --model`",
    )
    add_batch_size(parser)


def run(args: argparse.Namespace) -> int:
    """Extract features; train and test a classifier if its options are given."""
    if not (args.output or args.classifier or args.test_split):
        raise UsageError("One of --output, --classifier and --test-split must be given.")
    if args.slice and (not args.output or args.classifier or args.test_split):
        raise UsageError("--slice goes with --output, and without --classifier and --test-split")
    check_suffix("classifier", args.classifier, ".keras")
    check_model(args.model)
    from keras_cam.applications.features import feature_table

    try:
        if args.output:
            feature_table.check_suffix(args.output)
        annotated = read_data(args, args.split)
        # The same for all slices and for what puts them together: they must have the same runtime.
        extractor = load_extractor(args.model, args.layer, args.runtime, len(annotated))
        if args.slice:
            return _extract_slice(extractor, annotated, args)
        table = _extract(extractor, annotated, args.batch_size, args.output)
        failures = table.failures
        if args.classifier or args.test_split:
            failures += _classify(extractor, table, args)
    except (ModuleNotFoundError, ValueError) as error:
        raise UsageError(str(error)) from error
    return SOME_FAILED if failures else DONE


def _extract_slice(
    extractor: "FeatureExtractor", annotated: "AnnotatedImages", args: argparse.Namespace
) -> int:
    """Extract the parts of one of several jobs; returns the exit status."""
    from keras_cam.applications.features import extract_slice

    number, slices = args.slice
    with progress(-(-len(annotated) // slices), "Extracting features") as advance:
        failures = extract_slice(extractor, annotated, args.output, number, slices, args.batch_size, advance)
    for failure in failures:
        complain(failure)
    say(f"Slice {number} of {slices}, computed by {extractor.runtime}: {args.output}.parts")
    return SOME_FAILED if failures else DONE


def _extract(
    extractor: "FeatureExtractor", annotated: "AnnotatedImages", batch_size: int, output: Path | None = None
) -> "FeatureTable":
    """Extract the features of one split; reports unreadable images on stderr."""
    from keras_cam.applications.features import extract_features

    with progress(len(annotated), "Extracting features") as advance:
        table = extract_features(extractor, annotated, output, batch_size, advance)
    for failure in table.failures:
        complain(failure)
    if output:
        say(f"{len(table)} x {extractor.channels} features, computed by {extractor.runtime}: {output}")
    return table


def _classify(
    extractor: "FeatureExtractor", table: "FeatureTable", args: argparse.Namespace
) -> tuple[str, ...]:
    """Train, test and write an SVM; returns the errors of unreadable images."""
    from keras_cam.applications.features import fit_linear_svm

    with working("Training a linear SVM"):
        svm = fit_linear_svm(table)
    tested = None
    if args.test_split:
        tested = _extract(extractor, read_data(args, args.test_split), args.batch_size)
    _print_accuracies(svm, tested)
    if args.classifier:
        _save_classifier(svm, args)
    return tested.failures if tested else ()


def _save_classifier(svm: "LinearSvm", args: argparse.Namespace) -> None:
    """Write the SVM and the network below it as a Keras model."""
    import_quietly()
    from keras_cam.applications.features import attach

    save_model(attach(svm, load_backbone(args.model, args.layer)), args.classifier)
    say(f"Classifier: {args.classifier}")


def _print_accuracies(svm: "LinearSvm", tested: "FeatureTable | None") -> None:
    """Print the accuracy of each C in cross-validation, and that of the chosen C on the test split."""
    from keras_cam.metrics import wilson_interval

    rows = []
    for cost, accuracy in svm.accuracies.items():
        chosen = tested is not None and cost == svm.cost
        on_test = ""
        if tested is not None and chosen:
            right = round(svm.accuracy(tested) * len(tested))
            low, high = wilson_interval(right, len(tested))
            on_test = f"{right / len(tested):.1%} [{low:.1%}, {high:.1%}]"
        mark = " (chosen)" if cost == svm.cost else ""
        rows.append((f"{cost:g}{mark}", f"{accuracy:.1%}", on_test))
    header = ("C", "accuracy in cross-validation", "accuracy on the test split")
    print_table(header, rows, right=header[1:])
