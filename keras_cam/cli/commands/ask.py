"""`keras-cam ask`: answer questions about a photo, with maps and the contribution of each word."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_cam.cli.console import complain, print_json, print_table, say
from keras_cam.cli.loading import load_classifier
from keras_cam.cli.options import fraction, positive
from keras_cam.cli.quiet_libraries import import_quietly
from keras_cam.cli.usage import DONE, UsageError, check_suffix
from keras_cam.recipes import THRESHOLD

if TYPE_CHECKING:
    from keras_cam.applications.discovery.question_answering import AnsweredQuestion


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `keras-cam`."""
    parser = commands.add_parser("ask", help="answer questions about a photo, and localize the answers")
    parser.set_defaults(run=run)
    parser.add_argument("photo", type=Path, metavar="PHOTO")
    parser.add_argument("questions", nargs="+", metavar="QUESTION")
    parser.add_argument(
        "--model", required=True, type=Path, metavar="FILE", help="a file that `keras-cam vqa` wrote"
    )
    parser.add_argument(
        "--top-k", type=positive, default=3, metavar="K", help="answers per question (default: %(default)s)"
    )
    parser.add_argument(
        "--threshold",
        type=fraction,
        default=THRESHOLD,
        metavar="T",
        help="a box encloses the cells above this fraction of the map's maximum (default: %(default)s)",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="a picture (.png) of the best answers with maps and boxes"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object for each question")


def run(args: argparse.Namespace) -> int:
    """Answer the questions, and draw the picture if its option is given."""
    check_suffix("output", args.output, ".png")
    if not args.model.exists():
        raise UsageError(f"--model must be a file that `keras-cam vqa` wrote. Received: {args.model}")
    import_quietly()
    from keras_cam.applications.discovery.question_answering import answer_questions, draw_answers
    from keras_cam.images.files import write_png
    from keras_cam.inference.records import FailedImage

    answerer = load_classifier(str(args.model))
    asked = [(args.photo, question) for question in args.questions]
    try:
        answered = []
        for one in answer_questions(answerer, asked, args.top_k, args.threshold):
            if isinstance(one, FailedImage):
                raise UsageError(one.error)
            answered.append(one)
        if args.output:
            args.output.parent.mkdir(parents=True, exist_ok=True)
            write_png(args.output, draw_answers(answered))
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from error
    for one in answered:
        print_json(one.to_dict()) if args.json else _print(one)
    if args.output:
        complain(f"Picture: {args.output}") if args.json else say(f"Picture: {args.output}")
    return DONE


def _print(answered: "AnsweredQuestion") -> None:
    """A row for each answer: its probability, and the contributions of the image and of each word."""
    words = list(answered.word_logits[0])
    rows = [
        (detection.label, f"{detection.score:.1%}", f"{image:+.2f}", *(f"{by[word]:+.2f}" for word in words))
        for detection, image, by in zip(
            answered.localization.detections, answered.image_logits, answered.word_logits, strict=True
        )
    ]
    header = (answered.question, "score", "image", *(word or "(any question)" for word in words))
    print_table(header, rows, right=header[1:])
