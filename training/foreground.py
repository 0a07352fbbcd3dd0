"""Learn to tell objects from their surroundings, from the maps of a localizer on images without labels."""

from collections.abc import Callable, Iterable
from pathlib import Path

import keras
import numpy as np

from keras_cam.data import AnnotatedImages
from keras_cam.graph.foreground import build_foreground
from keras_cam.images.batches import ImageBatch, read_batches
from keras_cam.images.files import find_images, read_reduced
from keras_cam.localizer import build_localizer, image_size_hw
from keras_cam.recipes import AFFINITY

# Positions where the refined map is above the first are foreground, below the second background. Positions
# between are left out of training, for there the map is uncertain.
_FOREGROUND, _BACKGROUND = 0.5, 0.3


def train_foreground(
    model: keras.Model,
    images: Iterable[str | Path] | AnnotatedImages,
    *,
    epochs: int = 12,
    batch_size: int = 32,
    seed: int = 0,
    on_image: Callable[[str | None], None] = lambda error: None,
) -> keras.Model:
    """Train a small network that tells objects from their surroundings, for images of one kind.

    The refined map of a single image is noisy, but over many images of birds, birds and branches look alike.
    The network learns to predict the refined map of the best class of an image from the mid-level features of
    each position. It needs no labels and no boxes. After one pass over the images, training takes seconds.
    About 0.2 MB per image are kept in memory for an EfficientNet-Lite0 at 320 x 320.

    Args:
        model: a classifier that `build_localizer` can refine.
        images: image files, and folders, which stand for the images below them; or a data set, whose labels
            and boxes are not used. A few hundred are enough; they should be similar to the images that will
            be localized.
        epochs: the number of passes over the features.
        batch_size: the number of images in a batch.
        seed: the seed of the initial weights and the order.
        on_image: called after each image with its error, or None.

    Returns:
        A `keras.Model`, for `keras_cam.build_localizer(model, refine="affinity", foreground=...)`.

    Raises:
        ValueError: the maps of the model cannot be refined, or no image has a map.

    Examples:
        >>> import keras_cam
        >>> from skimage import data_dir
        >>> model = keras_cam.build_model("alexnet_gap", classes=3, input_shape=(67, 67, 3), head_filters=8)
        >>> foreground = train_foreground(model, [f"{data_dir}/chelsea.png"], epochs=1)
        >>> localizer = keras_cam.build_localizer(model, refine="affinity", foreground=foreground)
    """
    localizer = build_localizer(model, top_k=1, refine=AFFINITY)
    size_hw, batch = image_size_hw(localizer), 8
    if isinstance(images, AnnotatedImages):
        batches = images.batches(size_hw, batch)
    else:
        files = [str(path) for path in find_images(images)]
        batches = read_batches(lambda index: read_reduced(files[index], size_hw), len(files), size_hw, batch)
    features, maps = _features_and_maps(localizer, batches, on_image)
    keras.utils.set_random_seed(seed)
    foreground = build_foreground(features.shape[-1])
    foreground.get_layer("standardized").adapt(features)
    # A second model with the same layers: a compiled model inside another one could not be saved.
    trainee = keras.Model(foreground.inputs, foreground.outputs)
    trainee.compile(keras.optimizers.Adam(1e-3), keras.losses.BinaryCrossentropy())
    is_known = (maps > _FOREGROUND) | (maps < _BACKGROUND)
    trainee.fit(
        features,
        (maps > _FOREGROUND)[..., None].astype("float32"),
        sample_weight=is_known.astype("float32"),
        epochs=epochs,
        batch_size=batch_size,
        verbose=0,
    )
    foreground.trainable = False
    return foreground


def _features_and_maps(
    localizer: keras.Model, batches: Iterable[ImageBatch], on_image: Callable[[str | None], None]
) -> tuple[np.ndarray, np.ndarray]:
    """The mid-level features (N, h, w, C) and refined maps (N, h, w) of all images that have a map."""
    taps = localizer.get_layer("aligned_features").output
    extractor = keras.Model(localizer.inputs[0], [*taps, localizer.output["localization_maps"]])
    features, maps, images = [], [], 0
    for batch in batches:
        images += len(batch.errors)
        *kinds, refined = (np.asarray(output) for output in extractor(batch.images, training=False))
        has_map = (refined[:, 0].max(axis=(1, 2)) > 0) & batch.readable
        features.append(np.concatenate(kinds, axis=-1)[has_map])
        maps.append(refined[has_map, 0])
        for error in batch.errors:
            on_image(error)
    if not sum(map(len, maps)):
        raise ValueError(f"At least one image must be readable and have a map. Received: {images} images")
    return np.concatenate(features), np.concatenate(maps)
