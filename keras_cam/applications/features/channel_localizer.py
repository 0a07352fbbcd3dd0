"""The channels of a backbone as the classes of a localizer."""

import warnings

import keras

from keras_cam.localizer import build_localizer
from keras_cam.recipes import NONE


def channel_localizer(backbone: keras.Model) -> keras.Model:
    """Make a localizer whose classes are the channels of a backbone, so that pooled features are its logits.

    What runs localizers, on any runtime, pools features, too.

    Args:
        backbone: from images (B, H, W, 3) to features (B, h, w, C), see `backbone_of`. The localizer shares
            its layers.

    Returns:
        A localizer of C classes, see `keras_cam.build_localizer`.

    Reference:
        Lin et al., Network in Network, ICLR 2014, section 3.2: the channels of a network are its classes.

    Examples:
        >>> import numpy as np
        >>> from keras_cam.inference import KerasLocalizer
        >>> backbone = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Rescaling(2.0)])
        >>> KerasLocalizer(channel_localizer(backbone)).classify(np.full((1, 4, 4, 3), [1, 2, 3])).tolist()
        [[2.0, 4.0, 6.0]]
    """
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.outputs[0])
    classifier = keras.Model(backbone.inputs[0], keras.layers.Softmax()(pooled))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The map has one cell")  # which has a mean, though no box
        return build_localizer(classifier, top_k=1, refine=NONE)
