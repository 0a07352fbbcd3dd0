"""`keras-cam benchmark`: evaluate features on the data sets of the paper, by their protocols."""

import argparse
from typing import TYPE_CHECKING, Any

from keras_cam.cli.console import complain, print_json, print_table, progress
from keras_cam.cli.loading import check_model, load_extractor, report_problems
from keras_cam.cli.options import add_batch_size, add_layer, add_model, add_runtime, positive
from keras_cam.cli.usage import DONE, SOME_FAILED, UsageError

if TYPE_CHECKING:
    from keras_cam.applications.features import BenchmarkResult, FeatureTable
    from keras_cam.applications.features.benchmark_images import Benchmark

NAMES = (
    "sun397",
    "indoor67",
    "scene15",
    "sun_attribute",
    "caltech101",
    "caltech256",
    "action40",
    "event8",
)


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `keras-cam`."""
    parser = commands.add_parser(
        "benchmark",
        help="measure features of a network by linear SVMs, on the data sets and splits of the paper",
    )
    parser.set_defaults(run=run)
    parser.add_argument("name", choices=NAMES, metavar="NAME", help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--data", required=True, metavar="DIR", help="where the data set was unpacked")
    add_model(parser)
    add_layer(parser)
    add_runtime(parser, prepared="")
    parser.add_argument(
        "--train-per-class",
        type=positive,
        metavar="N",
        help="training images per class, where splits are random (default: as published)",
    )
    parser.add_argument(
        "--runs",
        type=positive,
        metavar="N",
        help="how many random or published splits (default: as published)",
    )
    parser.add_argument("--features", metavar="FILE", help="keep the features in this .npz or .parquet file")
    add_batch_size(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")


def run(args: argparse.Namespace) -> int:
    """Read the data set, extract features once, and train and test on all splits."""
    check_model(args.model)

    from keras_cam.applications.features import extract_features, run_benchmark
    from keras_cam.applications.features.benchmark_run import fits
    from keras_cam.applications.features.benchmarks import read_benchmark

    try:
        data = read_benchmark(args.name, args.data, args.train_per_class, args.runs)
        report_problems(data.images)
        extractor = load_extractor(args.model, args.layer, args.runtime, len(data.images))
        with progress(len(data.images), "Extracting features") as advance:
            table = extract_features(extractor, data.images, args.features, args.batch_size, advance)
        for failure in table.failures:
            complain(failure)
        with progress(fits(data), "Training linear SVMs") as advance:
            result = run_benchmark(data, table, on_fit=advance)
    except (ModuleNotFoundError, ValueError) as error:
        raise UsageError(str(error)) from error
    if args.json:
        head = {"benchmark": args.name, "model": args.model, "runtime": extractor.runtime}
        print_json({**head, **_figures(data.benchmark, result, table)})
    else:
        _print_figures(data.benchmark, result, table)
    return SOME_FAILED if table.failures or data.images.problems else DONE


def _figures(benchmark: "Benchmark", result: "BenchmarkResult", table: "FeatureTable") -> dict[str, Any]:
    mean, deviation = _mean_and_deviation(result.runs)
    return {
        "images": len(table),
        "train_per_class": benchmark.train,
        "measure": f"mean {result.measure} of classes",
        "mean": mean,
        "standard_deviation": deviation,
        "runs": result.runs.tolist(),
        "overall": None if result.overall is None else result.overall.tolist(),
        "by_class": dict(zip(result.names, result.by_class.mean(axis=0).tolist(), strict=True)),
    }


def _print_figures(benchmark: "Benchmark", result: "BenchmarkResult", table: "FeatureTable") -> None:
    measures = {f"mean {result.measure} of classes": result.runs}
    if result.overall is not None:
        measures["accuracy on all test images"] = result.overall
    rows = []
    for name, values in measures.items():
        mean, deviation = _mean_and_deviation(values)
        figure = f"{mean:.2%}" + ("" if deviation is None else f" ± {deviation:.2%}")
        rows.append((benchmark.title, str(len(table)), str(benchmark.runs), name, figure))
    header = ("benchmark", "images", "runs", "measure", "mean ± standard deviation")
    print_table(header, rows, right=("images", "runs", header[-1]))


def _mean_and_deviation(values: Any) -> tuple[float, float | None]:
    """The mean over runs and their standard deviation, which is None for a single run."""
    return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None
