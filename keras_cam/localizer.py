"""Build a Keras model that returns classes, maps and boxes in one forward pass."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from statistics import median
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from keras_cam.check_finite import check_finite
from keras_cam.graph import names
from keras_cam.graph.head import Head, find_head, find_head_of_any_size, one_or_all
from keras_cam.graph.refined_maps import RefinedMaps
from keras_cam.graph.taps import NoTapsError
from keras_cam.images.resize import input_size_hw
from keras_cam.layers import (
    AugmentedMaps,
    ClassLabels,
    ClassSelection,
    LocalizerModel,
    MapDetections,
    ScaledImages,
)
from keras_cam.map_methods import Evidence
from keras_cam.map_methods.table import AUGMENT, SCALES
from keras_cam.models.keras_hub import with_preprocessing
from keras_cam.models.window import with_window
from keras_cam.recipes import (
    AFFINITY,
    AUTO,
    DEFAULT_RECIPE,
    DEFAULT_REFINE,
    FOREGROUND_THRESHOLDS,
    MAX_BOXES,
    NONE,
    POSITIVE_WEIGHTS_UP_TO,
    RECIPES,
    REFINEMENTS,
    THRESHOLD,
    Recipe,
    default_image_size,
)

_ONE_CELL = (
    "The map has one cell, so there can be no box: use a larger image or an earlier layer. "
    "Received: a classifier whose features have 1x1 positions for images {shape}"
)


def build_localizer(
    model: keras.Model,
    top_k: int | Literal["all"] | None = 5,
    *,
    class_ids: Sequence[int] | Literal["input"] | None = None,
    method: str | Callable[[Evidence], Any] = AUTO,
    refine: str = DEFAULT_REFINE,
    taps: Sequence[str] | None = None,
    positive_weights: bool | None = None,
    foreground: keras.Model | None = None,
    look_again_k: int | None = None,
    threshold: float | Sequence[float] | None = None,
    components: Literal["largest", "all"] = "largest",
    max_boxes: int | None = None,
    rule: Literal["one_threshold", "tight_and_loose"] = "one_threshold",
    output: str | int | None = None,
    activation: Literal["softmax", "sigmoid"] | None = None,
    labels: Sequence[str] | None = None,
    window: Sequence[float] | None = None,
    pixel_range: Sequence[float] = (0.0, 255.0),
    name: str = "localizer",
) -> keras.Model:
    """Turn a classifier into a localizer.

    The localizer shares the classifier's layers: training one changes both. It is a functional `keras.Model`
    whose metrics get all outputs, see `keras_cam.layers.LocalizerModel`. Its input is `images` (B, H, W, 3),
    pixels in the classifier's input range; its output is a dict with R rows per image:

    - `detection_boxes` (B, R, 4) float32: ymin, xmin, ymax, xmax in [0, 1] of the image.
    - `detection_classes` (B, R) int32: class index, best first.
    - `detection_scores` (B, R) float32: probability.
    - `num_detections` (B,) int32: the number of rows with a box. These rows come first, unless `class_ids`
      fixes the order.
    - `class_activation_maps` (B, R, h, w) float32: raw maps. If they are exact, `mean(map) + bias == logit`;
      `map_kind` and `map_method` of the localizer say how they are made.
    - `localization_maps` (B, R, h', w') float32, only if maps are refined: the maps in [0, 1] from which
      boxes are computed.

    For signals (B, L, C), `detection_boxes` are (B, R, 2): start and end in [0, 1]; for volumes
    (B, D, H, W, C) (B, R, 6): zmin, ymin, xmin, zmax, ymax, xmax. Their maps have one and three axes; they
    are not refined. Such localizers are saved as `.keras`, but not exported.

    The box of a row is all zeros if its map is constant or has no positive value. Maps of one cell are
    always constant: a warning says so.

    Args:
        model: any built classifier. A task of keras_hub brings its preprocessing: the localizer takes raw
            pixels.
        top_k: int, the number of best classes that get rows, at most all. None or "all": every class.
        class_ids: select the classes instead. A list of integers: these classes for every image. "input":
            a second input `class_ids`, integers (B, K), selects classes for each image:
            `localizer({"images": images, "class_ids": np.array([[281], [207]])})`. Rows keep the order of
            `class_ids`, with or without boxes.
        method: how the class activation maps are made. "auto": exactly, if logits are an affine function of
            the features, else from gradients of the logits by `keras_cam.recipes.DEFAULT_GRADIENT_METHOD`.
            "cam": exactly, or an error that says what prevents it. Otherwise a name in
            `keras_cam.map_methods.MAP_METHODS`, which may follow "finer:", see `map_method` there; or a
            function from an `Evidence` to maps (B, K, h, w). "augment:" before a name, "auto" and "cam"
            included: the mean over views of the image: itself, its mirror image and, if the layers before the
            features take other sizes, the image at three quarters and at one and a half of its size.
        refine: the maps from which boxes are computed. "none", the paper's rule: the class activation maps.
            "affinity": maps refined by the similarity of mid-level features, which cover the whole object
            rather than its most discriminative part. One of `keras_cam.recipes.RECIPES`: refined by this
            recipe. "auto": "affinity" if the network has mid-level features and `rule` is "one_threshold",
            else "none". Refinement was evaluated on images of 320 x 320.
        taps: the names of the layers with the mid-level features, finest first. None selects layers of stride
            8 and 16, see `keras_cam.graph.taps.find_taps`.
        positive_weights: bool, whether refined maps use only the classifier's positive weights. None: yes for
            2 to 100 classes; with few classes, negative weights cut holes into the maps.
        foreground: a model that separates foreground from background, see
            `keras_cam.training.train_foreground`. Its output is combined with the refined maps by the
            geometric mean, and boxes are the mean of those at 0.4, 0.45 and 0.5.
        look_again_k: int, with refine="look_again" the number of classes that get a second look: the best
            ones, or the first ones of `class_ids`. None: 1. Each costs a forward pass.
        threshold: float in [0, 1), the fraction of a map's maximum that values inside a box exceed; or
            several, whose boxes are averaged. None: 0.2, as in the paper; for refined maps the recipe's
            thresholds, or their median with components="all".
        components: "largest", one box per class; "all", a box for each connected component, largest first,
            whose area exceeds a tenth of the largest one's.
        max_boxes: int, the number of rows per class with components="all"; None: 5.
        rule: "one_threshold"; or "tight_and_loose", the paper's five boxes from three classes: a tight one
            (100/255 of the maximum) and a loose one (`threshold`) for the first two, a loose one for the
            third, for any `top_k`.
        output: name or index of the output to localize, if the model has several.
        activation: "softmax" or "sigmoid", the function from logits to scores. None: the model's last
            activation; for a model that returns logits, sigmoid if it has one unit and softmax otherwise.
        labels: the class names, saved with the localizer, see `keras_cam.models.labels`. None: the names
            saved in the model, if any.
        window: `(low, high)`: the localizer takes images of any numbers, such as those of 16 bits or floats,
            cuts them to this window and scales it to `pixel_range`, in the graph. A classifier of RGB images
            becomes a localizer of grey images (B, H, W, 1). None: images as the classifier takes them.
        pixel_range: the values of black and white that the classifier takes; with `window`.
        name: str, the name of the new model.

    Returns:
        A functional `keras.Model`, see `keras_cam.layers.LocalizerModel`.

    Raises:
        ValueError: the model cannot be traced or has no maps of the method that was asked for, and the
            message names the layer that prevents it; or an argument is out of range.

    Reference:
        Zhou et al., CVPR 2016, sections 2 and 3.2.

    Examples:
        >>> import numpy as np
        >>> import keras_cam
        >>> model = keras_cam.build_model("mobilenet_v2", classes=10, input_shape=(64, 64, 3))
        >>> localizer = keras_cam.build_localizer(model, top_k=3)
        >>> out = localizer(np.zeros((2, 64, 64, 3), "uint8"))
        >>> out["detection_boxes"].shape, out["class_activation_maps"].shape
        (TensorShape([2, 3, 4]), TensorShape([2, 3, 2, 2]))
    """
    if isinstance(model, str | PathLike):
        raise ValueError(
            "`model` must be a Keras model; `keras_cam.load_localizer` takes names and files. "
            f"Received: model={model!r}"
        )
    augmented = isinstance(method, str) and method.startswith(AUGMENT)
    if isinstance(method, str):
        method = method.removeprefix(AUGMENT)
    model = with_preprocessing(model)
    if window is not None:
        model = with_window(model, window, pixel_range)
    head = find_head(model, output, method)
    shapes = [x.shape for x in head.inputs]
    head, scales = _head_for_views(head, model, output, method) if augmented else (head, ())
    options = {
        "taps": taps,
        "positive_weights": positive_weights,
        "foreground": foreground,
        "look_again_k": look_again_k,
    }
    refined_maps = _refinement(refine, rule, head, options, augmented)
    inputs = [
        keras.Input(batch_shape=shape, dtype=x.dtype, name=x.name if index else names.IMAGES)
        for index, (x, shape) in enumerate(zip(head.inputs, shapes, strict=True))
    ]
    images, *others = inputs
    view = refined_maps.view(inputs) if refined_maps else None
    features_of = refined_maps.features if refined_maps else _plain_features(head)
    features = view.features if view else features_of(inputs)

    logits = head.layer(features)
    labels = labels or head.labels
    if labels:
        logits = ClassLabels(labels, name=names.LABELS)(logits)
    scores = _activation(head, logits.shape[-1], activation)
    chosen = _chosen(logits, class_ids, top_k, rule)
    if isinstance(class_ids, str):
        inputs = [*inputs, chosen]
    rows_per_class = _rows_per_class(components, max_boxes)
    detections = MapDetections(
        threshold=_default_threshold(refined_maps, rows_per_class) if threshold is None else threshold,
        max_boxes=rows_per_class,
        rule=rule,
        boxes_first=class_ids is None,
        name=names.DETECTIONS,
    )
    maps = head.layer(features, chosen)
    if augmented:
        views = _views(features_of, [images, *others], head, chosen, scales)
        maps = AugmentedMaps(head.layer.map_method, name=names.AUGMENTED_MAPS)([maps, *views])
    if set(maps.shape[2:]) == {1}:
        warnings.warn(_ONE_CELL.format(shape=tuple(images.shape[1:])), stacklevel=2)
    refined = refined_maps.all_parts(view, chosen, look_again_k or 1) if refined_maps and view else []
    # Components outside the window of a second look are part of the whole map only.
    refined = refined if rows_per_class == 1 else refined[:1]
    outputs = detections(maps, chosen, scores(logits), images, *refined)
    return LocalizerModel({x.name: x for x in inputs} if len(inputs) > 1 else images, outputs, name=name)


def gives_boxes(model: keras.Model) -> bool:
    """Whether a model has the outputs of a localizer."""
    output = getattr(model, "output", None)  # an unbuilt `Sequential` has none
    return isinstance(output, dict) and "detection_boxes" in output


def check_localizer(localizer: keras.Model) -> None:
    """Raise a `ValueError` if a model is not a localizer of images alone, or has weights like NaN."""
    shapes = [tuple(tensor.shape) for tensor in getattr(localizer, "inputs", None) or ()]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][-1] is None or not gives_boxes(localizer):
        outputs = list(getattr(localizer, "output_names", None) or ())
        raise ValueError(
            "`localizer` must be a model from `keras_cam.build_localizer` whose only input is images, "
            "(B, H, W, C). Call one of signals, volumes or several inputs itself: `localizer(inputs)`, with "
            "a dict of arrays if there are several. "
            f"Received: a model with inputs {shapes} and outputs {outputs}"
        )
    check_finite({variable.path: variable for variable in localizer.variables}, "weights")


def image_size_hw(localizer: keras.Model) -> tuple[int, int]:
    """The height and width to which photos are resized for a localizer with images as its only input.

    For a localizer that takes any size: 320 x 320 if it refines maps, else 224 x 224.
    """
    return input_size_hw(localizer.inputs[0].shape, default_image_size(localizer.output))


def _views(
    features_of: Callable[[list[Any]], Any],
    inputs: list[Any],
    head: Head,
    chosen: Any,
    scales: Sequence[float],
) -> list[Any]:
    """The maps of mirrored and resized images."""
    images, *others = inputs
    mirrored = head.layer(features_of([ops.flip(images, axis=2), *others]), chosen)
    resized = [ScaledImages(scale)(images) for scale in scales]
    return [ops.flip(mirrored, axis=3)] + [head.layer(features_of([x, *others]), chosen) for x in resized]


def _head_for_views(
    head: Head, model: keras.Model, output: str | int | None, method: str | Callable[[Evidence], Any]
) -> tuple[Head, Sequence[float]]:
    """A head for images of several sizes, and the sizes; the head itself and none if it takes only one."""
    shape = tuple(head.inputs[0].shape)
    if len(shape) != 4:
        raise ValueError(
            f"`method` must not begin with {AUGMENT!r}, unless the classifier takes images (B, H, W, C). "
            f"Received: inputs of shape {shape}"
        )
    of_any_size = find_head_of_any_size(model, output, method, SCALES)
    return (of_any_size, SCALES) if of_any_size else (head, ())


def _plain_features(head: Head) -> Callable[[list[Any]], Any]:
    """The function from inputs to the features of the head, if maps are not refined."""
    backbone = keras.Model(one_or_all(head.inputs), one_or_all(head.features), name=names.BACKBONE)
    # `training=False`: layers that augment images must not do so when the localizer is called.
    return lambda inputs: backbone(one_or_all(inputs), training=False)


def _refinement(
    refine: str, rule: str, head: Head, options: dict[str, Any], augmented: bool
) -> RefinedMaps | None:
    """The builder of refined maps; None for the paper's rule."""
    if refine not in REFINEMENTS:
        raise ValueError(f"`refine` must be one of {REFINEMENTS}. Received: refine={refine!r}")
    given = {name: value for name, value in options.items() if value is not None}
    is_paper = refine == NONE or (refine == AUTO and rule == "tight_and_loose")
    if given and is_paper:
        which = " and ".join(f"`{name}`" for name in given)
        raise ValueError(f"{which} can only be given for refined maps. Received: refine={refine!r}, {given}")
    if is_paper:
        return None
    if rule == "tight_and_loose":
        raise ValueError(
            'rule="tight_and_loose" uses class activation maps and needs refine="none" or "auto". '
            f"Received: refine={refine!r}"
        )
    recipe = RECIPES[DEFAULT_RECIPE if refine in (AUTO, AFFINITY) else refine]
    recipe = replace(recipe, mirrored=recipe.mirrored or augmented)
    if options["foreground"] is not None:
        recipe = replace(recipe, thresholds=FOREGROUND_THRESHOLDS)
    _check_looks(options["look_again_k"], recipe, refine)
    positive = _takes_positive_weights(head, options["positive_weights"])
    try:
        return RefinedMaps(head, options["taps"], recipe, positive, options["foreground"])
    except NoTapsError:
        if refine != AUTO or given:
            raise
        return None


def _check_looks(looks: int | None, recipe: Recipe, refine: str) -> None:
    if looks is not None and not (recipe.looks_again and looks >= 1):
        raise ValueError(
            '`look_again_k` must be at least 1 and needs refine="look_again". '
            f"Received: look_again_k={looks!r}, refine={refine!r}"
        )


def _takes_positive_weights(head: Head, asked: bool | None) -> bool:
    """Whether the maps to be refined use only the positive weights of the classifier."""
    if asked is not None:
        return asked
    # With one class, negative weights are not evidence for another class.
    return 1 < head.layer.weighted_classes <= POSITIVE_WEIGHTS_UP_TO


def _default_threshold(refined_maps: RefinedMaps | None, rows_per_class: int) -> float | Sequence[float]:
    if refined_maps is None:
        return THRESHOLD
    thresholds = refined_maps.recipe.thresholds
    # Components found at different thresholds do not correspond, so their boxes cannot be averaged.
    return thresholds if rows_per_class == 1 else median(thresholds)


def _activation(head: Head, classes: int, activation: str | None) -> keras.layers.Layer:
    if activation not in (None, "softmax", "sigmoid"):
        raise ValueError(
            f'`activation` must be "softmax", "sigmoid" or None. Received: activation={activation!r}'
        )
    if activation is None:
        activation = head.activation
    if activation == "linear":
        activation = "sigmoid" if classes == 1 else "softmax"
    return keras.layers.Activation(activation, dtype="float32", name=names.SCORES)


def _chosen(logits: Any, class_ids: Any, top_k: int | str | None, rule: str) -> Any:
    """The classes that get rows, (B, K); an input of its own for "input"."""
    if rule == "tight_and_loose" and class_ids is not None:
        raise ValueError(
            'rule="tight_and_loose" uses the three best classes and cannot be combined with `class_ids`. '
            f"Received: class_ids={class_ids!r}"
        )
    classes = logits.shape[-1]
    if class_ids is None:
        return ClassSelection(top_k=_class_count(top_k, classes, rule), name=names.SELECTION)(logits)
    if isinstance(class_ids, str) and class_ids == "input":
        return keras.Input((None,), dtype="int32", name=names.CLASS_IDS)
    return ClassSelection(class_ids=_valid_ids(class_ids, classes), name=names.SELECTION)(logits)


def _class_count(top_k: int | str | None, classes: int, rule: str) -> int:
    if rule == "tight_and_loose":
        return min(3, classes)
    if top_k is None or top_k == "all":
        return classes
    if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
        raise ValueError(f'`top_k` must be a positive integer, "all" or None. Received: top_k={top_k!r}')
    return min(top_k, classes)


def _valid_ids(class_ids: Any, classes: int) -> list[int]:
    ids = np.asarray(class_ids)
    if ids.dtype.kind not in "iu" or ids.ndim != 1 or ids.size == 0 or ids.min() < 0 or ids.max() >= classes:
        raise ValueError(
            f'`class_ids` must be "input" or a list of integers in [0, {classes}). '
            f"Received: class_ids={class_ids!r}"
        )
    return ids.tolist()


def _rows_per_class(components: str, max_boxes: int | None) -> int:
    if components not in ("largest", "all"):
        raise ValueError(f'`components` must be "largest" or "all". Received: components={components!r}')
    if components == "largest":
        if max_boxes not in (None, 1):
            raise ValueError(f'`max_boxes` needs components="all". Received: max_boxes={max_boxes}')
        return 1
    return MAX_BOXES if max_boxes is None else max_boxes
