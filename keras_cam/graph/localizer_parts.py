"""A localizer split in two: from images to logits, and from selected classes to maps and boxes."""

import keras

from keras_cam.graph import names
from keras_cam.graph.cursor import sources_of
from keras_cam.graph.keras_internals import calls_in, calls_to, operation_of
from keras_cam.graph.replay import replay
from keras_cam.layers import MapDetections


def localizer_parts(localizer: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Split a localizer, to get maps of any classes without a second pass through the backbone.

    Args:
        localizer: a model from `keras_cam.build_localizer`, with images as its only input.

    Returns:
        `(front, back)`, two models that share the localizer's layers. `front(images)` returns a dict of
        `logits` (B, N), `probabilities` (B, N) and `tensors`, a list of inputs of `back`.
        `back([class_ids, *tensors])`, with integers `class_ids` (B, K), returns a dict of
        `class_activation_maps` (B, K, h, w); `localization_maps` (B, K, h', w') if the localizer refines
        maps; and `detection_boxes` (B, K, 4) as ymin, xmin, ymax, xmax in [0, 1]: the box of the largest
        component at the localizer's threshold, or the mean box over its thresholds; zeros if a class has no
        box.

    Examples:
        >>> from keras import ops
        >>> import keras_cam
        >>> model = keras_cam.build_model("mobilenet_v2", classes=10, input_shape=(64, 64, 3))
        >>> front, back = localizer_parts(keras_cam.build_localizer(model))
        >>> found = front(ops.zeros((1, 64, 64, 3)))
        >>> back([ops.array([[7, 3, 0]]), *found["tensors"]])["detection_boxes"].shape
        TensorShape([1, 3, 4])
    """
    sources = sources_of(localizer.output["detection_boxes"])
    _, chosen, _, images, *_ = sources
    in_localizer = {id(call) for call in calls_in(localizer)}
    calls = [call for call in calls_to(localizer.get_layer(names.BACKBONE)) if id(call) in in_localizer]
    # What a second look sees depends on the classes.
    first_looks = [call for call in calls if operation_of(call.input_tensors[0]).name != names.CROPS]
    inside = [tensor for call in first_looks for tensor in call.outputs]
    inputs, sources = replay([chosen, images, *inside], sources)
    maps, _, _, _, *refined = sources
    outputs = {"class_activation_maps": maps}
    if refined:
        outputs["localization_maps"] = refined[0]
    threshold = localizer.get_layer(names.DETECTIONS).threshold
    boxes = MapDetections(threshold, boxes_first=False, name=names.DETECTIONS)
    outputs["detection_boxes"] = boxes(*sources)["detection_boxes"]
    scores = localizer.get_layer(names.SCORES)
    found = {"logits": scores.input, "probabilities": scores.output, "tensors": [images, *inside]}
    front = keras.Model(localizer.inputs[0], found)
    back = keras.Model(inputs, outputs)
    back.input_spec = None  # so that it takes any number of classes, not only the localizer's
    return front, back
