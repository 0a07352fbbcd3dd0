"""The results of an evaluation as one HTML file."""

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from html import escape
from io import StringIO

import numpy as np

from keras_cam.drawing.html_page import html_image, html_page
from keras_cam.drawing.pictures import display_size, overlay
from keras_cam.evaluation.results import Evaluation, ImageResult, main_boxes
from keras_cam.evaluation.table import evaluation_table, format_table
from keras_cam.images.files import ImageError
from keras_cam.metrics import choe2020
from keras_cam.plain_text import plain_text

_SHOWN_PIXELS = 480  # the longer side of a picture
_COLOURS = ("#1b6ca8", "#c8553d", "#4c956c")

_CURVES_CAPTION = (
    "The part of the images with a box of the wanted IoU, over the threshold as a part of the map's maximum: "
    "the box of the largest contour (solid, MaxBoxAcc), and the best box of all (dashed, MaxBoxAccV2)."
)


def results_page(
    evaluations: Sequence[Evaluation],
    galleries: Mapping[str, Sequence[ImageResult]],
    source: str,
) -> str:
    """Write the page.

    Args:
        evaluations: of one model, or of several on the same images.
        galleries: titles, and images to show with their maps, boxes and truth.
        source: the name of the data set.

    Returns:
        HTML that needs no other file.
    """
    names = " and ".join(evaluation.model for evaluation in evaluations)
    first = evaluations[0]
    protocol = first.protocol
    about = f"{source}, {first.images} images. Protocol {protocol.name}: {protocol.summary}."
    notes = "Rates with their 95&nbsp;% intervals (Wilson). "
    notes += "Oracle thresholds are chosen on the images that are judged."
    if len(evaluations) == 2:
        notes += " p: the exact McNemar test on the images on which the models differ."
    table = format_table(*evaluation_table(evaluations), style="html")
    parts = [
        f'<p class="about">{escape(about)}</p>',
        table.replace("<table>", '<table class="figures">'),
        f'<p class="about">{notes}</p>',
        "<h2>Accuracy over thresholds</h2>",
        f"<figure>\n{_curves(evaluations)}\n<figcaption>{_CURVES_CAPTION}</figcaption>\n</figure>",
        *(_gallery(*named) for named in galleries.items() if named[1]),
    ]
    return html_page(f"Localization results of {names}", "\n".join(parts))


def _curves(evaluations: Sequence[Evaluation]) -> str:
    """The accuracies over thresholds, as SVG."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(evaluations), 3.4), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(evaluations), sharey=True))
    for axes, evaluation in zip(panels, evaluations, strict=True):
        for metric, style in ((evaluation.max_box_acc, "-"), (evaluation.max_box_acc_v2, "--")):
            curves = zip(_COLOURS, metric.curves(), choe2020.IOU_THRESHOLDS, strict=True)
            for colour, accuracies, iou in curves:
                label = f"IoU {iou:.0%}" if style == "-" else None
                axes.plot(choe2020.THRESHOLDS, accuracies, style, color=colour, label=label)
        axes.set(xlabel="threshold", xlim=(0, 1), ylim=(0, 1))
        axes.set_title(plain_text(evaluation.model), parse_math=False)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("accuracy")
    panels[0].legend(frameon=False)
    file = StringIO()
    # The same figures give the same page.
    with rc_context({"svg.hashsalt": "keras-cam"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the font lacks some letters of a name
        figure.savefig(file, format="svg", metadata={"Date": None})
    return "<svg" + file.getvalue().partition("<svg")[2]


def _gallery(title: str, results: Sequence[ImageResult]) -> str:
    figures = []
    for result in results:
        with suppress(ImageError):  # the file vanished meanwhile
            figures.append(_figure(result))
    shown = "\n".join(figures)
    return f'<h2>{escape(title)}</h2>\n<div class="images">\n{shown}\n</div>'


def _figure(result: ImageResult) -> str:
    is_right = result.image.label == result.predicted[0]
    taken_for = "" if is_right else f", taken for {result.predicted_name}"
    caption = f"{result.image.name}: {result.label_name}{taken_for}; IoU {result.iou or 0:.2f}"
    picture = html_image(_picture(result), result.label_name)
    return f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"


def _picture(result: ImageResult) -> np.ndarray:
    photo = display_size(result.image.read(), _SHOWN_PIXELS, _SHOWN_PIXELS)
    scale = photo.shape[1] / result.size_wh[0]
    boxes = {"found": result.boxes_xyxy, "truth": main_boxes(result.image)}
    named = [(name, tuple(box.tolist())) for name, some in boxes.items() for box in some * scale]
    return overlay(photo, result.activation_map, [box for _, box in named], [name for name, _ in named])
