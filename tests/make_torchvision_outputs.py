"""Write torchvision_outputs.json: what torchvision's networks compute with seeded random weights.

    pip install torch torchvision
    python tests/make_torchvision_outputs.py

The tests read the numbers and need neither.
"""

import base64
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch_files import seeded_image, seeded_weights

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CONVOLUTIONS_ONLY = (
    "alexnet",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
)
WHOLE = (
    "googlenet",
    *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
    *(f"densenet{depth}" for depth in (121, 161, 169, 201)),
    "mobilenet_v2",
    *(f"efficientnet_b{number}" for number in range(8)),
)  # fmt: skip


def build(name):
    options = (
        {"init_weights": False, "transform_input": True, "aux_logits": True} if name == "googlenet" else {}
    )
    network = getattr(torchvision.models, name)(weights=None, **options).eval()
    state = {
        key: seeded_weights(key, tuple(value.shape))
        for key, value in network.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    network.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()}, strict=False)
    return network, {key: value.shape for key, value in state.items()}


def digest(shapes):
    """Of the names and shapes of all tensors that are loaded."""
    lines = sorted(f"{name} {tuple(map(int, shape))}" for name, shape in shapes.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def outputs(name):
    network, shapes = build(name)
    pixels = torch.from_numpy(seeded_image()).permute(0, 3, 1, 2) / 255
    images = torchvision.transforms.functional.normalize(pixels, MEAN, DEVIATION)
    if name in WHOLE:
        values = network(images)[0]
        shapes = {key: shape for key, shape in shapes.items() if not key.startswith("aux")}
    else:
        convolutions = network.features if name.startswith("mobilenet") else network.features[:-1]
        values = convolutions(images).mean(dim=(2, 3))[0]
        shapes = {key: shape for key, shape in shapes.items() if not key.startswith("classifier")}
    return {
        "digest": digest(shapes),
        "values": [float(f"{value:.6g}") for value in values[:: len(values) // 16]],
    }


def saved(**options):
    file = io.BytesIO()
    torch.save(
        {"conv.weight": torch.arange(6.0).reshape(2, 3).t(), "steps": torch.tensor(7)}, file, **options
    )
    return base64.b64encode(file.getvalue()).decode()


def main():
    with torch.no_grad():
        written = {name: outputs(name) for name in (*CONVOLUTIONS_ONLY, *WHOLE)}
    written["files"] = {"zip": saved(), "old": saved(_use_new_zipfile_serialization=False)}
    written["versions"] = {
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "numpy": np.__version__,
    }
    lines = ",\n".join(f'"{name}": {json.dumps(value)}' for name, value in written.items())
    Path(__file__).with_name("torchvision_outputs.json").write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
