"""`keras-cam evaluate`: the figures of models and methods, side by side."""

import argparse
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_cam.cli.console import complain, print_json, print_table, progress, say
from keras_cam.cli.loading import check_model, read_data, usage_errors_of
from keras_cam.cli.options import add_batch_size, add_data, add_refine, add_runtime, add_slice, positive
from keras_cam.cli.quiet_libraries import import_quietly
from keras_cam.cli.usage import DONE, SOME_FAILED, UsageError
from keras_cam.evaluation.protocols import PROTOCOLS, Protocol
from keras_cam.inference.converted_files import model_digest
from keras_cam.inference.load import DEFAULT_MODEL
from keras_cam.inference.methods import METHODS, methods_help
from keras_cam.models.registry import MODELS, PUBLISHED_SUFFIXES
from keras_cam.recipes import NONE

if TYPE_CHECKING:
    from keras_cam.data import AnnotatedImages
    from keras_cam.evaluation.folder import Results
    from keras_cam.evaluation.result_parts import ResultParts
    from keras_cam.evaluation.results import Evaluation, ImageResult
    from keras_cam.inference import Localizer

FORMATS = ("table", "markdown", "latex")


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `keras-cam`."""
    parser = commands.add_parser(
        "evaluate", help="measure classification and localization on annotated images"
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME|FILE",
        help="a name from `keras-cam models`, a .keras file or an exported model; give it several times "
        f"to compare models (default: {DEFAULT_MODEL})",
    )
    parser.add_argument(
        "--method",
        action="append",
        choices=METHODS,
        metavar="NAME",
        help="how maps are made; give it several times to compare methods. "
        f"{methods_help(METHODS)} (default: cam)",
    )
    add_data(
        parser,
        "COCO JSON, CSV, TFRecord, folders of classes (with or without XML), CUB-200-2011, tfds:NAME …",
    )
    parser.add_argument("--split", help="the split of the data, such as test")
    summaries = "; ".join(f"{name}: {protocol.summary}" for name, protocol in PROTOCOLS.items())
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default="zhou2016",
        help=f"which boxes are judged. {summaries.replace('%', '%%')} (default: %(default)s)",
    )
    parser.add_argument(
        "--top-k",
        type=positive,
        default=5,
        metavar="K",
        help="how many predictions the errors beside top-1 count (default: %(default)s)",
    )
    add_refine(parser)
    add_runtime(parser)
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N images")
    add_batch_size(parser)
    parser.add_argument("--strict", action="store_true", help="a wrong annotation is an error")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder for images.csv, figures.json and results.html"
    )
    parser.add_argument(
        "--parts",
        type=Path,
        metavar="DIR",
        help="keep results in parts in this folder, 512 images each; the same command goes on with the parts "
        "that are missing",
    )
    add_slice(parser)
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="table",
        help="how figures are printed (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object for each model")


def run(args: argparse.Namespace) -> int:
    """Evaluates the models and prints their figures."""
    models, methods = args.model or [DEFAULT_MODEL], args.method or ["cam"]
    judged = [(model, method) for model in models for method in methods]
    for model in models:
        check_model(model)
    _check_refine(args.refine, PROTOCOLS[args.protocol])
    if args.slice and (args.output or not args.parts):
        raise UsageError("--slice goes with --parts, and without --output: its figures are not all")
    import_quietly()

    try:
        annotated = read_data(args, args.split, args.strict)[: args.limit]
        protocol = PROTOCOLS[args.protocol]
        load = partial(
            _load, refine=args.refine, protocol=protocol, runtime=args.runtime, images=len(annotated)
        )
        localizers = [(_name(*one), load(*one), _parts(args, *one)) for one in judged]
        return DONE if _evaluate_models(args, annotated, localizers) else SOME_FAILED
    except ValueError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"{error.filename or args.output}: {error.strerror or error}") from error


def _check_refine(refine: str | None, protocol: type[Protocol]) -> None:
    if refine not in (None, NONE) and not protocol.judges_refined_maps:
        raise UsageError(
            f"--refine {refine} does not go with --protocol {protocol.name}, whose boxes are defined on raw "
            "class activation maps. Give --refine none or leave it out"
        )


def _load(
    model: str, method: str, refine: str | None, protocol: type[Protocol], runtime: str, images: int
) -> "Localizer":
    is_built = model in MODELS or model.endswith(PUBLISHED_SUFFIXES)
    if refine is None and not protocol.judges_refined_maps and METHODS[method].is_in_the_graph and is_built:
        refine = NONE  # so that a model that is built here takes images of its own size
    with usage_errors_of(model):
        return METHODS[method].load(model, refine, runtime, images)


def _parts(args: argparse.Namespace, model: str, method: str) -> "ResultParts | None":
    """Where the results of a model are kept, if they are."""
    if not args.parts:
        return None
    from keras_cam.evaluation import ResultParts

    options = (method, args.protocol, args.top_k, args.refine, args.runtime)
    return ResultParts(args.parts, repr((model_digest(model), *options)), args.slice)


def _name(model: str, method: str) -> str:
    return model if method == "cam" else f"{model} ({method})"


def _evaluate_models(
    args: argparse.Namespace, annotated: "AnnotatedImages", localizers: Sequence[tuple[str, Any, Any]]
) -> bool:
    """Evaluates each model and prints the figures; returns whether no image and no page failed."""
    from keras_cam.evaluation.folder import PageError

    evaluations: list[Evaluation] = []
    page_error = ""
    try:
        with _results(args, evaluations) as results:
            for name, localizer, parts in localizers:
                evaluations.append(_evaluate_model(args, annotated, name, localizer, results, parts))
                if args.json and not args.slice:
                    print_json(evaluations[-1].to_dict())
    except PageError as error:
        page_error = str(error)
    for remark in dict.fromkeys(evaluation.remark for evaluation in evaluations if evaluation.remark):
        complain(remark)
    for failure in evaluations[0].failures:
        complain(failure)
    if args.slice:
        say(*(f"{one.model}: results of {one.images} images: {args.parts}" for one in evaluations))
    elif not args.json:
        _print(evaluations, args.format)
    if args.output:
        complain(page_error or f"Results: {args.output / 'results.html'}")
    return not evaluations[0].failures and not page_error


def _results(
    args: argparse.Namespace, evaluations: "list[Evaluation]"
) -> "AbstractContextManager[Results | None]":
    """What writes the folder of `--output`, if it is given."""
    if not args.output:
        return nullcontext()
    from keras_cam.evaluation.folder import results_folder

    return results_folder(args.output, evaluations, str(args.data), args.top_k)


def _evaluate_model(
    args: argparse.Namespace,
    annotated: "AnnotatedImages",
    name: str,
    localizer: Any,
    results: "Results | None",
    parts: "ResultParts | None",
) -> "Evaluation":
    from keras_cam.evaluation.run import evaluate

    with progress(len(annotated), f"Evaluating {name}") as advance:

        def on_result(result: "ImageResult | None") -> None:
            if results and result:
                results.add(name, result)
            advance()

        return evaluate(
            localizer,
            annotated,
            args.protocol,
            name,
            args.batch_size,
            on_result,
            top_k=args.top_k,
            parts=parts,
        )


def _print(evaluations: "Sequence[Evaluation]", style: str) -> None:
    from keras_cam.evaluation.table import evaluation_table, format_table

    header, rows = evaluation_table(evaluations)
    if style == "table":
        print_table(header, rows, right=header[1:])
    else:
        say(*format_table(header, rows, style).split("\n"))
