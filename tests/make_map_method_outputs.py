"""Write map_method_outputs.json: what grad-cam and torchcam compute of a small head with random weights.

    pip install torch grad-cam==1.5.7 torchcam==0.5.0
    python tests/make_map_method_outputs.py

The tests read the numbers and need none of these.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytorch_grad_cam
import torch
from map_method_head import CLASS_IDS, features, weights
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torchcam.methods import FinerCAM, GradCAM, LayerCAM

CLASSES = {
    "gradcam": "GradCAM",
    "gradcam++": "GradCAMPlusPlus",
    "layercam": "LayerCAM",
    "hirescam": "HiResCAM",
    "xgradcam": "XGradCAM",
    "elementwise": "GradCAMElementWise",
    "eigengradcam": "EigenGradCAM",
    "eigencam": "EigenCAM",
    "scorecam": "ScoreCAM",
    "ablationcam": "AblationCAM",
}


class Head(torch.nn.Module):
    """The head of `map_method_head.head`."""

    def __init__(self):
        super().__init__()
        kernel, hidden, classifier = weights()
        self.features = torch.nn.Identity()
        self.convolution = torch.nn.Conv2d(*kernel.shape[2:], 3, padding=1, bias=False)
        self.convolution.weight.data = torch.from_numpy(kernel).permute(3, 2, 0, 1).contiguous()
        self.hidden, self.classifier = torch.from_numpy(hidden), torch.from_numpy(classifier)

    def forward(self, images):
        pooled = torch.relu(self.convolution(self.features(images))).mean(dim=(2, 3))
        return torch.tanh(pooled @ self.hidden) @ self.classifier


def maps_of(name, images):
    """Raw maps (images, classes, h, w), before negative values are cut and the unit range is taken."""
    raw = []
    for column in range(CLASS_IDS.shape[1]):
        head = Head()
        cam = getattr(pytorch_grad_cam, name)(head, [head.features])
        image_of = cam.get_cam_image
        cam.get_cam_image = lambda *args, image_of=image_of: raw.append(image_of(*args)) or raw[-1]
        cam(images, [ClassifierOutputTarget(int(index)) for index in CLASS_IDS[:, column]])
    return np.stack(raw, axis=1)


def finer_maps_of(base, images):
    """Maps without their negative values, which torchcam cuts."""
    maps = []
    for column in range(CLASS_IDS.shape[1]):
        head = Head()
        with FinerCAM(head, "features", base_method=base, gamma=1.0) as cam:
            scores = head(images)
            maps.append(cam(CLASS_IDS[:, column].tolist(), scores, normalized=False)[0])
    return torch.stack(maps, dim=1).numpy()


def main():
    images = torch.from_numpy(features()).permute(0, 3, 1, 2).contiguous().requires_grad_()
    found = {name: maps_of(of_package, images) for name, of_package in CLASSES.items()}
    found["finer:gradcam"] = finer_maps_of(GradCAM, images)
    found["finer:layercam"] = finer_maps_of(LayerCAM, images)
    written = {"logits": Head()(images).detach().numpy().tolist()}
    written |= {name: maps.tolist() for name, maps in found.items()}
    written["versions"] = {name: version(name) for name in ("torch", "grad-cam", "torchcam")}
    rounded = json.loads(json.dumps(written), parse_float=lambda text: float(f"{float(text):.7g}"))
    lines = ",\n".join(f'"{name}": {json.dumps(value)}' for name, value in rounded.items())
    Path(__file__).with_name("map_method_outputs.json").write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
