"""The results of an evaluation as one HTML file, with all that it shows inside."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from io import BytesIO, StringIO
from string import Template

import numpy as np
from PIL import Image

from keras_cam.drawing.pictures import display_size, overlay
from keras_cam.evaluation.protocols import PROTOCOLS
from keras_cam.evaluation.results import Evaluation, ImageResult, main_boxes
from keras_cam.evaluation.table import evaluation_table, format_table
from keras_cam.metrics import choe2020

_SHOWN_PIXELS = 480  # the longer side of a picture
_COLOURS = ("#1b6ca8", "#c8553d", "#4c956c")


def results_page(
    evaluations: Sequence[Evaluation],
    galleries: Mapping[str, Sequence[ImageResult]],
    class_names: Sequence[str],
    source: str,
) -> str:
    """Write the page.

    Args:
        evaluations: of one model, or of two on the same images.
        galleries: titles, and images to show with their maps, boxes and truth.
        class_names: the names of all classes.
        source: the name of the data set.

    Returns:
        HTML that needs no other file.
    """
    names = " and ".join(evaluation.model for evaluation in evaluations)
    first = evaluations[0]
    about = f"{source}, {first.images} images. Protocol {first.protocol}: {PROTOCOLS[first.protocol]}."
    notes = " Oracle thresholds are chosen on the images that are judged."
    if len(evaluations) == 2:
        notes += " p: the exact McNemar test on the images on which the models differ."
    template = Template((files("keras_cam.evaluation") / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(f"Where {names} see{'s' * (len(evaluations) == 1)} it"),
        about=escape(about),
        table=format_table(*evaluation_table(evaluations), style="html"),
        notes=notes,
        curves=_curves(evaluations),
        galleries="\n".join(_gallery(*named, class_names) for named in galleries.items() if named[1]),
    )


def _curves(evaluations: Sequence[Evaluation]) -> str:
    """The accuracies over thresholds, as SVG."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(evaluations), 3.4), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(evaluations), sharey=True))
    for axes, evaluation in zip(panels, evaluations, strict=True):
        _, images = evaluation.count("pointing_game")
        for kind, style in enumerate(("-", "--")):
            for colour, hits, iou in zip(
                _COLOURS, evaluation.box_hits[kind], choe2020.IOU_THRESHOLDS, strict=True
            ):
                label = f"IoU {iou:.0%}" if kind == 0 else None
                axes.plot(choe2020.THRESHOLDS, hits / max(images, 1), style, color=colour, label=label)
        axes.set(xlabel="threshold", xlim=(0, 1), ylim=(0, 1), title=evaluation.model)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("accuracy")
    panels[0].legend(frameon=False)
    file = StringIO()
    with rc_context({"svg.hashsalt": "keras-cam"}):  # the same figures give the same page
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue().partition("<svg")[1] + file.getvalue().partition("<svg")[2]


def _gallery(title: str, results: Sequence[ImageResult], class_names: Sequence[str]) -> str:
    shown = "\n".join(_figure(result, class_names) for result in results)
    return f'<h2>{escape(title)}</h2>\n<div class="images">\n{shown}\n</div>'


def _figure(result: ImageResult, class_names: Sequence[str]) -> str:
    label, predicted = (class_names[label] for label in (result.image.label, result.predicted[0]))
    taken_for = "" if label == predicted else f", taken for {predicted}"
    caption = f"{result.image.name}: {label}{taken_for}; IoU {result.iou or 0:.2f}"
    picture = base64.b64encode(_jpeg(_picture(result))).decode()
    return (
        f'<figure><img alt="{escape(label)}" src="data:image/jpeg;base64,{picture}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _picture(result: ImageResult) -> np.ndarray:
    photo = display_size(result.image.read(), _SHOWN_PIXELS, _SHOWN_PIXELS)
    scale = photo.shape[1] / result.size_wh[0]
    boxes = {"found": result.boxes_xyxy, "truth": main_boxes(result.image)}
    named = [(name, tuple(box.tolist())) for name, some in boxes.items() for box in some * scale]
    return overlay(photo, result.activation_map, [box for _, box in named], [name for name, _ in named])


def _jpeg(picture: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=85)
    return file.getvalue()
