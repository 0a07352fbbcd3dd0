"""`keras-cam evaluate`: figures of one model, or of two side by side."""

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_cam.commands.usage import (
    DEFAULT_MODEL,
    DONE,
    METHODS,
    METHODS_HELP,
    SOME_FAILED,
    UsageError,
    check_model,
    positive,
)
from keras_cam.console import complain, print_table, progress
from keras_cam.protocols import PROTOCOLS
from keras_cam.quiet_tensorflow import import_quietly

if TYPE_CHECKING:
    from keras_cam.data import AnnotatedImages
    from keras_cam.evaluation import Evaluation


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
        help=f"a name from `keras-cam models` or a .keras file; two are compared (default: {DEFAULT_MODEL})",
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
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N images")
    parser.add_argument("--batch-size", type=positive, default=32, metavar="N", help="default: %(default)s")
    parser.add_argument("--strict", action="store_true", help="a broken annotation is an error")
    parser.add_argument("--json", action="store_true", help="one JSON object a model")


def run(args: argparse.Namespace) -> int:
    """Judges the models and prints their figures."""
    models, methods = args.model or [DEFAULT_MODEL], args.method or ["cam"]
    judged = [(model, method) for model in models for method in methods]
    if len(judged) > 2:
        names = ", ".join(map(_name, judged))
        raise UsageError(f"--model or --method may be given once or twice. Received: {names}")
    for model in models:
        check_model(model)
    import_quietly()

    try:
        annotated = _read_data(args)
        localizers = [(_name(one), METHODS[one[1]](one[0])) for one in judged]
        return DONE if _evaluate_models(args, annotated, localizers) else SOME_FAILED
    except ValueError as error:
        raise UsageError(str(error)) from error


def _name(judged: tuple[str, str]) -> str:
    model, method = judged
    return model if method == "cam" else f"{model} ({method})"


def _read_data(args: argparse.Namespace) -> "AnnotatedImages":
    """The images to judge; what is wrong with their annotations goes to stderr.

    Raises:
        ValueError: there is nothing that could be judged.
    """
    from keras_cam.data import describe_problems, read_annotations

    annotated = read_annotations(args.data, args.split, strict=args.strict)
    if annotated.problems:
        complain(describe_problems(annotated.problems))
    return annotated[: args.limit] if args.limit else annotated


def _evaluate_models(
    args: argparse.Namespace, annotated: "AnnotatedImages", localizers: Sequence[tuple[str, Any]]
) -> bool:
    """Judge each model, print the figures, and tell whether all images could be read."""
    from keras_cam.evaluate import evaluate

    evaluations = []
    for name, localizer in localizers:
        with progress(len(annotated), f"Evaluating {name}") as advance:
            evaluation = evaluate(
                localizer,
                annotated,
                args.protocol,
                name,
                args.batch_size,
                lambda _: advance(),
                top_k=args.top_k,
            )
        evaluations.append(evaluation)
        if args.json:
            print(json.dumps(evaluation.to_dict()), flush=True)
    for failure in evaluations[0].failures:
        complain(failure)
    if not args.json:
        _print(evaluations)
    return not evaluations[0].failures


def _print(evaluations: Sequence["Evaluation"]) -> None:
    """A row for each figure, a column for each model, and for two models whether they differ."""
    from keras_cam.evaluation import mcnemar_p_value

    figures = [evaluation.to_dict() for evaluation in evaluations]
    rows = []
    for rate in evaluations[0].counted:
        row = [rate.replace("_", " "), *(_rate_text(one, rate) for one in figures)]
        if len(evaluations) == 2:
            p_value = mcnemar_p_value(*(evaluation.counted[rate] for evaluation in evaluations))
            row.append(f"{p_value:.2g}")
        rows.append(row)
    for name in ("mean_iou", "max_box_acc", "max_box_acc_v2", "images", "images_per_second"):
        label = name.replace("_", " ") + (" (oracle threshold)" if name.startswith("max_box") else "")
        rows.append([label, *(_figure_text(one[name]) for one in figures)])
        rows[-1] += [""] * (len(evaluations) == 2)
    models = [one["model"] for one in figures]
    header = ["figure", *models] + ["p (McNemar)"] * (len(evaluations) == 2)
    print_table(header, rows, right=header[1:])


def _rate_text(figures: dict[str, Any], rate: str) -> str:
    if figures[rate] is None:
        return "-"
    low, high = figures["intervals"][rate]
    return f"{figures[rate]:.1%} [{low:.1%}, {high:.1%}]"


def _figure_text(figure: Any) -> str:
    if figure is None:
        return "-"
    if isinstance(figure, dict):
        return f"{figure['value']:.1%}"
    return str(figure) if isinstance(figure, int) else f"{figure:.3g}"
