"""`keras-cam objects`: the annotated objects that are most informative for scene categories."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_cam.cli.console import complain, print_json, print_table, progress, say
from keras_cam.cli.loading import check_model, load_classifier, read_data
from keras_cam.cli.options import DEFAULT_OUTPUT, add_batch_size, add_data, fraction, positive
from keras_cam.cli.quiet_libraries import import_quietly
from keras_cam.cli.usage import DONE, SOME_FAILED, UsageError
from keras_cam.recipes import THRESHOLD

if TYPE_CHECKING:
    import keras

    from keras_cam.applications.discovery.informative_objects import InformativeObjects, SceneObjects
    from keras_cam.data import AnnotatedImages

PREDICTED, FOLDERS = "predicted", "folders"


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `keras-cam`."""
    parser = commands.add_parser(
        "objects", help="rank annotated objects by how informative they are for scenes"
    )
    parser.set_defaults(run=run)
    add_data(parser, "annotated objects, as `keras-cam evaluate` takes them")
    parser.add_argument("--split", help="which part of the data, such as train")
    parser.add_argument(
        "--model",
        required=True,
        metavar="NAME|FILE",
        help="a classifier of scenes, for instance from `keras-cam features --classifier`",
    )
    parser.add_argument(
        "--scenes",
        choices=(PREDICTED, FOLDERS),
        default=PREDICTED,
        help="the scene of an image: the class that the model predicts, or the one named as the folder that "
        "the image lies in (default: %(default)s)",
    )
    parser.add_argument(
        "--threshold",
        type=fraction,
        default=THRESHOLD,
        metavar="T",
        help="regions of high activation exceed this fraction of the map's maximum (default: %(default)s)",
    )
    parser.add_argument(
        "--top", type=positive, default=6, metavar="N", help="objects per scene (default: %(default)s)"
    )
    parser.add_argument(
        "--images", type=positive, default=4, metavar="N", help="pictures per scene (default: %(default)s)"
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N images")
    add_batch_size(parser)
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_OUTPUT, metavar="DIR", help="folder for objects.png"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object for each scene")


def run(args: argparse.Namespace) -> int:
    """Rank the objects of each scene, print them and draw the picture."""
    check_model(args.model)
    import_quietly()

    from keras_cam.applications.discovery.informative_objects import draw_informative_objects
    from keras_cam.images.files import write_png

    try:
        annotated = read_data(args, args.split)[: args.limit]
        found = _find(load_classifier(args.model), annotated, args)
    except ValueError as error:
        raise UsageError(str(error)) from error
    for failure in found.failures:
        complain(failure)
    if not found.scenes:
        raise UsageError("There must be an image of a scene that can be read. Received: none")
    for name, scene in found.scenes.items():
        _print_json(name, scene, args.top) if args.json else _print(name, scene, args.top)
    args.output.mkdir(parents=True, exist_ok=True)
    picture = args.output / "objects.png"
    write_png(picture, draw_informative_objects(found.scenes, annotated.class_names))
    complain(f"Picture: {picture}") if args.json else say(picture)
    return SOME_FAILED if found.failures else DONE


def _find(
    classifier: "keras.Model", annotated: "AnnotatedImages", args: argparse.Namespace
) -> "InformativeObjects":
    from keras_cam.applications.discovery.informative_objects import informative_objects, scenes_of_folders
    from keras_cam.models.labels import class_names, labels_of

    scenes = None
    if args.scenes == FOLDERS:
        names = class_names(classifier.output_shape[-1], carried=labels_of(classifier))
        scenes = scenes_of_folders(annotated, names)
        if elsewhere := int((scenes < 0).sum()):
            complain(f"{elsewhere} images lie in no folder with the name of a class and are left out")
    with progress(len(annotated), "Looking at scenes") as advance:
        return informative_objects(
            classifier,
            annotated,
            scenes,
            threshold=args.threshold,
            top=args.images,
            batch_size=args.batch_size,
            on_image=advance,
        )


def _print(name: str, scene: "SceneObjects", top: int) -> None:
    rows = []
    for category in scene.ranked()[:top]:
        share = scene.shares[category]
        rows.append(
            (
                category,
                f"{share.images} ({share.images / scene.images:.0%})",
                f"{share.mean_of_region:.1%}",
                f"{share.mean_of_image:.1%}",
                f"{share.of_region / share.of_image:.2f}",
                f"{scene.gain(category):+.1%}",
            )
        )
    header = (
        f"{name} ({scene.images} images)", "in images", "of the region", "of the image", "ratio", "gain",
    )  # fmt: skip
    print_table(header, rows, right=header[1:])


def _print_json(name: str, scene: "SceneObjects", top: int) -> None:
    objects = [
        {
            "object": category,
            "images": scene.shares[category].images,
            "of_region": scene.shares[category].mean_of_region,
            "of_image": scene.shares[category].mean_of_image,
            "gain": scene.gain(category),
        }
        for category in scene.ranked()[:top]
    ]
    print_json({"scene": name, "images": scene.images, "objects": objects})
