"""Photos in, overlay pictures out, by other packages, as their own examples do it.

    PYTHON benchmarks/peers.py grad-cam|tf-keras-vis PHOTOS FOLDER

`benchmarks/throughput.py --peers PYTHON` runs it in an interpreter that has these packages: grad-cam 1.5.7
with torch and torchvision; tf-keras-vis 0.8.7 with TensorFlow. The network is EfficientNet-B0 with random
weights, about as large as our default; photos are 224 x 224, in batches of 8, and maps are of the best class.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

SIZE, BATCH = 224, 8


def main() -> None:
    package, photos, folder = sys.argv[1:]
    files = Path(photos).read_text().splitlines()
    maps, overlay = PEERS[package]()
    Path(folder).mkdir(exist_ok=True)
    for start in range(0, len(files), BATCH):
        names = files[start : start + BATCH]
        pixels = np.stack([read(name) for name in names])
        for name, photo, found in zip(names, pixels, maps(pixels), strict=True):
            picture = Image.fromarray(overlay(photo, np.asarray(found, np.float32)))
            picture.save(Path(folder) / f"{Path(name).stem}.jpg", quality=90)


def read(name: str) -> np.ndarray:
    """A photo, uint8 (SIZE, SIZE, 3)."""
    return np.asarray(Image.open(name).convert("RGB").resize((SIZE, SIZE)))


def grad_cam():
    import torch
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.image import show_cam_on_image
    from torchvision.models import efficientnet_b0

    model = efficientnet_b0(weights=None).eval()
    cam = GradCAM(model, [model.features[-1]])
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])

    def maps(pixels: np.ndarray):
        images = (torch.from_numpy(pixels).float() / 255 - mean) / std
        return cam(images.permute(0, 3, 1, 2), targets=None)

    return maps, lambda photo, found: show_cam_on_image(photo / np.float32(255), found, use_rgb=True)


def tf_keras_vis():
    import tensorflow as tf
    from matplotlib import cm
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    model = tf.keras.applications.EfficientNetB0(weights=None)
    cam = Gradcam(model, model_modifier=ReplaceToLinear(), clone=True)

    def maps(pixels: np.ndarray):
        images = pixels.astype(np.float32)
        best = np.argmax(model(images, training=False), axis=-1)
        return cam(CategoricalScore(best.tolist()), images)

    def overlay(photo: np.ndarray, found: np.ndarray) -> np.ndarray:
        return (0.5 * photo + 0.5 * 255 * cm.jet(found)[..., :3]).astype(np.uint8)

    return maps, overlay


PEERS = {"grad-cam": grad_cam, "tf-keras-vis": tf_keras_vis}


if __name__ == "__main__":
    main()
