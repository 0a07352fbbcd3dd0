"""`keras-cam vqa`: train and evaluate visual question answering."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_cam.cli.console import complain, print_json, print_table, progress, say
from keras_cam.cli.loading import check_model, load_backbone, report_problems, save_model
from keras_cam.cli.options import add_layer, add_model, positive
from keras_cam.cli.quiet_libraries import import_quietly
from keras_cam.cli.usage import DONE, SOME_FAILED, UsageError, check_suffix
from keras_cam.progress import working

if TYPE_CHECKING:
    import keras

    from keras_cam.applications.discovery.question_answering import AnswererFigures
    from keras_cam.applications.discovery.vqa_json import Questions


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `keras-cam`."""
    parser = commands.add_parser("vqa", help="train and evaluate a model that answers questions about images")
    parser.set_defaults(run=run)
    parser.add_argument(
        "--data",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder with questions, annotations and images in the layout of VQA v1 and v2",
    )
    parser.add_argument("--split", default="train2014", help="split to train on (default: %(default)s)")
    parser.add_argument("--validation-split", metavar="SPLIT", help="split to measure on, such as val2014")
    parser.add_argument(
        "--answers",
        type=positive,
        default=1000,
        metavar="N",
        help="how many answers are possible: the most frequent ones (default: %(default)s)",
    )
    add_model(parser, "the network that gives the image features")
    add_layer(parser)
    parser.add_argument("--epochs", type=positive, default=40, metavar="N", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "--output", required=True, type=Path, metavar="FILE", help="the model to write, a .keras file"
    )
    parser.add_argument("--json", action="store_true", help="the figures as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Train on one split, write the model, and evaluate it on the other split."""
    check_suffix("output", args.output, ".keras")
    check_model(args.model)
    import_quietly()

    failures: list[str] = []
    try:
        splits = [_read(args.data, split) for split in (args.split, args.validation_split) if split]
        model = _learn(args, splits[0], failures)
        with working(f"Writing {args.output}"):
            save_model(model, args.output)
        complain(f"Model: {args.output}") if args.json else say(f"Model: {args.output}")
        for questions in splits[1:]:
            _print(_judge(model, questions), args.json, failures)
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from error
    for failure in failures:
        complain(failure)
    return SOME_FAILED if failures else DONE


def _read(folder: Path, split: str) -> "Questions":
    from keras_cam.applications.discovery.vqa_json import read_questions

    with working(f"Reading questions of {split}"):
        questions = read_questions(folder, split)
    report_problems(questions.images)
    return questions


def _learn(args: argparse.Namespace, questions: "Questions", failures: list[str]) -> "keras.Model":
    from keras_cam.applications.discovery.answerer_training import train_answerer

    backbone = load_backbone(args.model, args.layer)
    with progress(len(questions.images), "Looking at images") as advance:
        trained = train_answerer(
            backbone,
            questions,
            answers=args.answers,
            epochs=args.epochs,
            seed=args.seed,
            on_image=advance,
        )
    failures += trained.failures
    return trained.model


def _judge(model: "keras.Model", questions: "Questions") -> "AnswererFigures":
    from keras_cam.applications.discovery.question_answering import judge_answers

    with progress(len(questions), "Answering questions") as advance:
        return judge_answers(model, questions, on_question=advance)


def _print(figures: "AnswererFigures", as_json: bool, failures: list[str]) -> None:
    failures += figures.failures
    if as_json:
        print_json(asdict(figures))
        return
    header = ("questions", "accuracy", "words alone", "image alone", "pointing")
    parts = (figures.accuracy, figures.words_only, figures.image_only, figures.pointing)
    row = [str(figures.questions), *("" if part is None else f"{part:.1%}" for part in parts)]
    print_table(header, [row], right=header)
