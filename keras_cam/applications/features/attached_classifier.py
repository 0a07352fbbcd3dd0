"""A linear classifier of pooled features as the head of a Keras model."""

import keras

from keras_cam.applications.features.linear_svm import LinearSvm
from keras_cam.layers import ClassLabels
from keras_cam.models.heads import gap_classifier


def attach(svm: LinearSvm, backbone: keras.Model, name: str = "classifier") -> keras.Model:
    """Make a Keras classifier from a backbone and a linear classifier of its pooled features.

    The classifier has the same structure as those of `keras_cam.build_model`, with the layers `features`,
    `pooler`, `head` and `labels`, so `keras_cam.build_localizer` localizes its classes although the backbone
    was never trained on them. Its logits are the margins of the SVMs. Their softmax ranks classes correctly
    but is not calibrated.

    Args:
        svm: the linear classifier.
        backbone: the backbone whose features it was trained on. The new model shares its layers.
        name: the name of the model.

    Returns:
        A `keras.Model` from images to logits (B, N).

    Raises:
        ValueError: if the backbone has another number of channels than the classifier.

    Reference:
        Zhou et al., CVPR 2016, section 4.1, figure 7.

    Examples:
        >>> import numpy as np
        >>> import keras_cam
        >>> from keras_cam.applications.features import backbone_of
        >>> backbone = backbone_of(keras_cam.build_model("efficientnet_lite0", input_shape=(64, 64, 3)))
        >>> svm = LinearSvm(np.ones((1280, 2), "float32"), np.zeros(2, "float32"), ("cat", "dog"), 1.0)
        >>> keras_cam.build_localizer(attach(svm, backbone)).output["class_activation_maps"].shape
        (None, 2, 2, 2)
    """
    channels, classes = svm.kernel.shape
    if backbone.output.shape[-1] != channels:
        raise ValueError(
            f"The backbone must give the {channels} channels that the classifier was trained on. "
            f"Received: {backbone.output.shape[-1]} channels"
        )
    images = keras.Input(batch_shape=backbone.inputs[0].shape, dtype=backbone.inputs[0].dtype, name="images")
    features = keras.layers.Identity(name="features")(backbone(images))
    logits = gap_classifier(features, classes)
    model = keras.Model(images, ClassLabels(svm.class_names, name="labels")(logits), name=name)
    model.get_layer("head").set_weights([svm.kernel, svm.bias])
    return model
