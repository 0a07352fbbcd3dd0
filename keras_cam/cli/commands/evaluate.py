"""`keras-cam evaluate`: figures of one model, or of two side by side."""

import argparse
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_cam.cli.console import complain, print_table, progress
from keras_cam.cli.quiet_libraries import import_quietly
from keras_cam.cli.usage import (
    DEFAULT_MODEL,
    DONE,
    METHODS,
    METHODS_HELP,
    SOME_FAILED,
    UsageError,
    add_refine,
    check_model,
    load_model,
    load_saliency,
    positive,
    read_data,
)
from keras_cam.evaluation.protocols import PROTOCOLS

if TYPE_CHECKING:
    from keras_cam.data import AnnotatedImages
    from keras_cam.evaluation.folder import Results
    from keras_cam.evaluation.results import Evaluation, ImageResult

FORMATS = ("table", "markdown", "latex")


def add_parser(commands: Any) -> None:
    """Adds the command to those of `keras-cam`."""
    parser = commands.add_parser(
        "evaluate", help="measure classification and localization on annotated images"
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME|FILE",
        help="a name from `keras-cam models`, a .keras file or an exported model; two are compared "
        f"(default: {DEFAULT_MODEL})",
    )
    parser.add_argument(
        "--method",
        action="append",
        choices=METHODS,
        help=f"how maps are made; two are compared: {METHODS_HELP} (default: cam)",
    )
    parser.add_argument(
        "--data",
        required=True,
        metavar="PATH",
        help="COCO JSON, CSV, TFRecord, a folder a class (with or without XML), CUB-200-2011, tfds:NAME …",
    )
    parser.add_argument("--split", help="which part of the data, such as test")
    described = "; ".join(f"{name}: {what}" for name, what in PROTOCOLS.items()).replace("%", "%%")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="zhou2016", help=described)
    parser.add_argument(
        "--top-k", type=positive, default=5, metavar="K", help="predictions that count (default: %(default)s)"
    )
    add_refine(parser)
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N images")
    parser.add_argument("--batch-size", type=positive, default=32, metavar="N", help="default: %(default)s")
    parser.add_argument("--strict", action="store_true", help="a broken annotation is an error")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder for images.csv, figures.json and results.html"
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="table",
        help="how figures are printed (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a model")


def run(args: argparse.Namespace) -> int:
    """Judges the models and prints their figures."""
    models, methods = args.model or [DEFAULT_MODEL], args.method or ["cam"]
    judged = [(model, method) for model in models for method in methods]
    if len(judged) > 2:
        names = ", ".join(_name(*one) for one in judged)
        raise UsageError(f"--model or --method may be given once or twice. Received: {names}")
    for model in models:
        check_model(model)
    import_quietly()

    try:
        annotated = read_data(args.data, args.split, args.strict)
        annotated = annotated[: args.limit] if args.limit else annotated
        localizers = [(_name(*one), _load(*one, args.refine)) for one in judged]
        return DONE if _evaluate_models(args, annotated, localizers) else SOME_FAILED
    except ValueError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"--output {args.output}: {error.strerror or error}") from error


def _load(model: str, method: str, refine: str) -> Any:
    return load_saliency(model) if method == "backprop" else load_model(model, refine=refine)


def _name(model: str, method: str) -> str:
    return model if method == "cam" else f"{model} ({method})"


def _evaluate_models(
    args: argparse.Namespace, annotated: "AnnotatedImages", localizers: Sequence[tuple[str, Any]]
) -> bool:
    """Judge each model, print the figures, and tell whether all images could be read."""
    evaluations: list[Evaluation] = []
    with _results(args, annotated, evaluations) as results:
        for name, localizer in localizers:
            evaluations.append(_evaluate_model(args, annotated, name, localizer, results))
            if args.json:
                print(json.dumps(evaluations[-1].to_dict()), flush=True)
    for failure in evaluations[0].failures:
        complain(failure)
    if not args.json:
        _print(evaluations, args.format)
    if args.output:
        complain(f"Results: {args.output / 'results.html'}")
    return not evaluations[0].failures


def _results(
    args: argparse.Namespace, annotated: "AnnotatedImages", evaluations: "list[Evaluation]"
) -> "AbstractContextManager[Results | None]":
    """What writes the results down, if somebody wants that."""
    if not args.output:
        return nullcontext()
    from keras_cam.evaluation.folder import results_folder

    return results_folder(args.output, evaluations, annotated.class_names, str(args.data), args.top_k)


def _evaluate_model(
    args: argparse.Namespace,
    annotated: "AnnotatedImages",
    name: str,
    localizer: Any,
    results: "Results | None",
) -> "Evaluation":
    from keras_cam.evaluation.run import evaluate

    with progress(len(annotated), f"Evaluating {name}") as advance:

        def on_result(result: "ImageResult | None") -> None:
            if results and result:
                results.add(name, result)
            advance()

        return evaluate(
            localizer, annotated, args.protocol, name, args.batch_size, on_result, top_k=args.top_k
        )


def _print(evaluations: "Sequence[Evaluation]", style: str) -> None:
    from keras_cam.evaluation.table import evaluation_table, format_table

    header, rows = evaluation_table(evaluations)
    if style == "table":
        print_table(header, rows, right=header[1:])
    else:
        print(format_table(header, rows, style))
