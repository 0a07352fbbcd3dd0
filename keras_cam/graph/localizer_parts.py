"""A localizer in two parts: up to the classes that are chosen, and from there on."""

import keras

from keras_cam.graph import names
from keras_cam.graph.cursor import sources_of
from keras_cam.graph.keras_internals import calls_in, calls_to
from keras_cam.layers import MapDetections


def localizer_parts(localizer: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Take a localizer apart, to ask for other classes than it chooses without a second forward pass.

    Args:
        localizer: a model from `keras_cam.build_localizer`, with images as its only input.

    Returns:
        `(front, back)`, which share its layers. `front(images)` is a dict of `logits` (B, N),
        `probabilities` (B, N) and `tensors`, a list of what `back` needs. `back([class_ids, *tensors])`, with
        integers `class_ids` (B, K), is a dict of `class_activation_maps` (B, K, h, w); if the localizer
        refines maps, of `localization_maps` (B, K, h', w'); and of `detection_boxes` (B, K, 4) as ymin, xmin,
        ymax, xmax in [0, 1], zeros where a class has no box: the largest component above the threshold, or
        the mean over several thresholds, as the localizer was built with.

    Examples:
        >>> from keras import ops
        >>> import keras_cam
        >>> model = keras_cam.build_model("mobilenet_v2", classes=10, input_shape=(64, 64, 3))
        >>> front, back = localizer_parts(keras_cam.build_localizer(model))
        >>> found = front(ops.zeros((1, 64, 64, 3)))
        >>> back([ops.array([[7, 3, 0]]), *found["tensors"]])["detection_boxes"].shape
        TensorShape([1, 3, 4])
    """
    maps, chosen, probabilities, images, *refined = sources_of(localizer.output["detection_boxes"])
    in_localizer = {id(call) for call in calls_in(localizer)}
    calls = [call for call in calls_to(localizer.get_layer(names.BACKBONE)) if id(call) in in_localizer]
    features = [tensor for call in calls for tensor in call.outputs]
    # Boxes need the size of the images. This is another input than that of the localizer: with its own, Keras
    # would change the localizer so that it could not be saved any more.
    sized = keras.Input(batch_shape=images.shape, dtype=images.dtype, name=names.IMAGES)
    outputs = {"class_activation_maps": maps}
    if refined:
        outputs["localization_maps"] = refined[0]
    threshold = localizer.get_layer(names.DETECTIONS).threshold
    boxes = MapDetections(threshold, boxes_first=False, name=names.DETECTIONS)
    rows = boxes(maps, chosen, probabilities, sized, *refined)
    outputs["detection_boxes"] = rows["detection_boxes"]
    scores = localizer.get_layer(names.SCORES)
    found = {"logits": scores.input, "probabilities": scores.output, "tensors": [images, *features]}
    front = keras.Model(images, found)
    back = keras.Model([chosen, sized, *features], outputs)
    back.input_spec = None  # it takes any number of classes, not just as many as the localizer chooses
    return front, back
