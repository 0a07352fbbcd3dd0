"""Informative objects of scenes: those in the region where the scene's class activation map is high."""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from skimage.draw import polygon as draw_polygon

from keras_cam.check_finite import check_finite
from keras_cam.data import AnnotatedImage, AnnotatedImages
from keras_cam.drawing.pictures import display_size, gallery, overlay
from keras_cam.images.resize import input_size_hw
from keras_cam.localizer import build_localizer
from keras_cam.models.labels import class_names, labels_of
from keras_cam.recipes import NONE, THRESHOLD

if TYPE_CHECKING:
    import keras


@dataclass
class ObjectShare:
    """How much objects of one category cover of a scene's images and of their regions of high activation.

    Attributes:
        images: the number of the scene's images that have such an object.
        of_region: the fraction of the region that these objects cover, summed over those images.
        of_image: the fraction of the image that they cover, summed in the same way: the expected fraction of
            a region at a random position.
    """

    images: int = 0
    of_region: float = 0.0
    of_image: float = 0.0

    @property
    def mean_of_region(self) -> float:
        """The mean fraction of the region, over the images that have such an object."""
        return self.of_region / self.images

    @property
    def mean_of_image(self) -> float:
        """The mean fraction of the image, over the images that have such an object."""
        return self.of_image / self.images


@dataclass(frozen=True, eq=False)
class SceneImage:
    """An image of a scene.

    Attributes:
        image: the image with its annotated objects.
        size_wh: its width and height in pixels.
        scene: the index of its class.
        score: the probability of that class.
        activation_map: float32 (h, w), the raw map of the class.
    """

    image: AnnotatedImage
    size_wh: tuple[int, int]
    scene: int
    score: float
    activation_map: np.ndarray = field(repr=False)


@dataclass
class SceneObjects:
    """The objects of one scene.

    Attributes:
        images: the number of the scene's images that have a region of high activation.
        shares: what the objects of each category cover, by the name of the category.
        best: the images with the highest scores, best first.
    """

    images: int = 0
    shares: dict[str, ObjectShare] = field(default_factory=dict)
    best: list[SceneImage] = field(default_factory=list)

    def gain(self, category: str) -> float:
        """How much more of the region than of the image a category covers, on average over all images."""
        share = self.shares[category]
        return (share.of_region - share.of_image) / self.images

    def ranked(self) -> list[str]:
        """The categories by descending `gain`: the most informative ones first."""
        return sorted(self.shares, key=lambda category: (-self.gain(category), category))


@dataclass(frozen=True)
class InformativeObjects:
    """The objects of all scenes.

    Attributes:
        scenes: the objects of each scene that has images, by its name, in the order of the classifier's
            classes.
        failures: error messages for images that could not be read.
    """

    scenes: Mapping[str, SceneObjects]
    failures: tuple[str, ...]


def informative_objects(
    classifier: "keras.Model",
    annotated: AnnotatedImages,
    scenes: Sequence[int] | np.ndarray | None = None,
    *,
    threshold: float = THRESHOLD,
    top: int = 4,
    batch_size: int = 32,
    on_image: Callable[[], None] = lambda: None,
) -> InformativeObjects:
    """Find the annotated objects that lie where a scene's class activation map is high.

    The region of high activation is where the upsampled map exceeds a fraction of its maximum, as for the
    paper's boxes. For each category of objects, the fraction of the region that it covers is compared with
    the fraction of the whole image that it covers, which is what it would cover of a region at a random
    position. Overlapping objects of one category are not counted twice. Categories are ranked by the
    difference, averaged over all images of the scene, so neither walls, which are everywhere, nor objects in
    a single image come first.

    Args:
        classifier: a classifier of scenes, with a linear head after global average pooling.
        annotated: images whose annotations are objects, with outlines or boxes. Their classes are not those
            of the classifier.
        scenes: the class of each image; -1 leaves the image out. None takes the predicted classes.
        threshold: float in [0, 1), the fraction of the map's maximum that the region exceeds.
        top: the number of images, with the highest scores, that are kept for each scene.
        batch_size: the number of images in a batch.
        on_image: called after each image.

    Returns:
        The objects of each scene, as sums over its images, with its best images.

    Raises:
        ValueError: if the classifier has no exact map, or an argument is out of range.

    Reference:
        Zhou et al., CVPR 2016, section 4, which lists the objects that overlap the region most often.
    """
    if not 0 <= threshold < 1 or top < 1 or batch_size < 1:
        raise ValueError(
            "`threshold` must be in [0, 1), `top` and `batch_size` at least 1. "
            f"Received: threshold={threshold!r}, top={top!r}, batch_size={batch_size!r}"
        )
    if scenes is not None and len(scenes) != len(annotated):
        raise ValueError(
            f"`scenes` must have one class for each of the {len(annotated)} images. Received: {len(scenes)}"
        )
    names = class_names(classifier.output_shape[-1], carried=labels_of(classifier))
    found: dict[int, SceneObjects] = {}
    failures = []
    for result in _scene_images(classifier, annotated, scenes, batch_size):
        on_image()
        if isinstance(result, str):
            failures.append(result)
        elif result is not None:
            scene = found.setdefault(result.scene, SceneObjects())
            _count(scene, result, annotated.class_names, threshold)
            scene.best = heapq.nlargest(top, [*scene.best, result], key=lambda image: image.score)
    return InformativeObjects({names[scene]: found[scene] for scene in sorted(found)}, tuple(failures))


def scenes_of_folders(annotated: AnnotatedImages, class_names: Sequence[str]) -> np.ndarray:
    """Return the scene of each image, which is the name of its folder.

    Args:
        annotated: N images.
        class_names: the names of the scenes.

    Returns:
        int (N,), indices in `class_names`; -1 for images in other folders.

    Examples:
        >>> files = ("kitchen/1.jpg", "attic/2.jpg")
        >>> images = tuple(AnnotatedImage(file, file, 0, (0,)) for file in files)
        >>> scenes_of_folders(AnnotatedImages("", ("cup",), images), ["bathroom", "kitchen"]).tolist()
        [1, -1]
    """
    classes = {name: position for position, name in enumerate(class_names)}
    folders = [Path(image.image).parent.name if isinstance(image.image, str) else "" for image in annotated]
    return np.array([classes.get(folder, -1) for folder in folders], np.int64)


def object_shares(
    image: AnnotatedImage, size_wh: tuple[int, int], activation_map: np.ndarray, threshold: float = THRESHOLD
) -> dict[int, tuple[float, float]] | None:
    """Compute how much of the region of high activation, and of the image, the objects of each class cover.

    Args:
        image: an image with boxes of objects, or with outlines, which are used instead.
        size_wh: its width and height.
        activation_map: (h, w), raw; it is upsampled bilinearly.
        threshold: the fraction of the map's maximum that the region exceeds.

    Returns:
        For each class of objects in the image, the fractions of the region and of the image, in [0, 1]. None
        if the map has no positive value, and so there is no region.

    Examples: an object covers half of the image, and all of the region.
        >>> boxes = np.array([[0, 0, 2, 4]], "float32")
        >>> image = AnnotatedImage("1", "1.jpg", 5, (5,), boxes, np.array([5]))
        >>> activation_map = np.zeros((4, 4))
        >>> activation_map[1, 1] = 1
        >>> object_shares(image, (4, 4), activation_map)
        {5: (1.0, 0.5)}
    """
    surface = cv2.resize(activation_map.astype(np.float32), size_wh, interpolation=cv2.INTER_LINEAR)
    if surface.max() <= 0:
        return None
    region = surface > threshold * surface.max()
    shares = {}
    for category in dict.fromkeys(image.box_labels.tolist()):
        mask = np.zeros(region.shape, bool)
        for position in np.flatnonzero(image.box_labels == category).tolist():
            _paint(mask, image, position)
        shares[category] = (float(mask[region].mean()), float(mask.mean()))
    return shares


def draw_informative_objects(scenes: Mapping[str, SceneObjects], class_names: Sequence[str]) -> np.ndarray:
    """Draw a row for each scene: its best images with their maps and their most informative objects.

    Args:
        scenes: see `InformativeObjects.scenes`.
        class_names: the names of the categories of objects.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    columns = max(len(scene.best) for scene in scenes.values())
    blank = np.full((3, 4, 3), 255, np.uint8)
    pictures: list[np.ndarray] = []
    for name, scene in scenes.items():
        telling = [category for category in scene.ranked() if scene.gain(category) > 0]
        row = [_picture(image, name, telling, class_names) for image in scene.best]
        pictures += row + [blank] * (columns - len(row))
    return gallery(pictures, columns, cell_wh=(360, 270))


def _scene_images(
    classifier: "keras.Model",
    annotated: AnnotatedImages,
    scenes: Sequence[int] | np.ndarray | None,
    batch_size: int,
) -> Iterator[SceneImage | str | None]:
    """For each image, the map of its scene; an error message; or None if the image is left out."""
    # Regions are those of the unrefined class activation map, as in the paper.
    localizer = build_localizer(
        classifier, top_k=1, class_ids=None if scenes is None else "input", refine=NONE
    )
    images = localizer.input if scenes is None else localizer.input["images"]
    size_hw = input_size_hw(images.shape)
    for batch in annotated.batches(size_hw, batch_size):
        inputs: Any = batch.images
        if scenes is not None:
            asked = np.array(scenes)[batch.index]
            inputs = {"images": inputs, "class_ids": np.maximum(asked, 0)[:, None].astype(np.int32)}
        found = localizer.predict_on_batch(inputs)
        check_finite(found)
        for row, position in enumerate(batch.index):
            if error := batch.errors[row]:
                yield error
            elif scenes is not None and scenes[position] < 0:
                yield None
            else:
                yield SceneImage(
                    annotated[position],
                    tuple(batch.sizes_wh[row].tolist()),
                    int(found["detection_classes"][row, 0]),
                    float(found["detection_scores"][row, 0]),
                    found["class_activation_maps"][row, 0],
                )


def _count(scene: SceneObjects, image: SceneImage, class_names: Sequence[str], threshold: float) -> None:
    shares = object_shares(image.image, image.size_wh, image.activation_map, threshold)
    if shares is None:
        return
    scene.images += 1
    for category, (of_region, of_image) in shares.items():
        share = scene.shares.setdefault(class_names[category], ObjectShare())
        share.images += 1
        share.of_region += of_region
        share.of_image += of_image


def _paint(mask: np.ndarray, image: AnnotatedImage, position: int) -> None:
    """Mark the pixels of one object: those whose centres are inside."""
    outline = image.outlines[position] if image.outlines else ()
    for polygon in outline:
        columns, rows = polygon.T - 0.5
        mask[draw_polygon(rows, columns, mask.shape)] = True
    if not outline:
        left, top, right, bottom = np.rint(image.boxes_xyxy[position]).astype(int)
        mask[top:bottom, left:right] = True


def _picture(
    result: SceneImage, name: str, ranked: Sequence[str], class_names: Sequence[str], most: int = 3
) -> np.ndarray:
    """The photo with its map, the scene's name, and a box of each of the first informative objects in it."""
    photo = display_size(result.image.read(), longest=720)
    scale = photo.shape[1] / result.size_wh[0]
    names = [class_names[label] for label in result.image.box_labels]
    informative = [category for category in ranked if category in names][:most]
    boxes = [tuple((result.image.boxes_xyxy[names.index(one)] * scale).tolist()) for one in informative]
    return overlay(photo, result.activation_map, [None, *boxes], [name, *informative])
