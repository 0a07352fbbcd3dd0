"""Training on a GPU: steps a second of our step and input against Keras' `fit`, and losses against the CPU's.

    python benchmarks/gpu.py [--model efficientnet_lite0] [--batch-sizes 32 128 256] [--size 224]

For each precision, with and without XLA, and for each batch size, these run by turns: our step on our input
(JPEG files, random crops, flips), our step on a batch that is always there, and `fit` on the same batch. The
first against the second says whether the input keeps up with the device, the second against the third what
our step costs. Each setting runs in a process of its own, so that one that does not fit into the memory of
the device ends only itself.

Before, a few steps in float32 on the CPU, and the same steps on the device: same weights, same batches. Their
losses must agree within the relative tolerances below; exit status 1 says that they do not.

Without a GPU all of it runs on the CPU, to see that it runs, and says so. Small sizes for that:

    python benchmarks/gpu.py --model keras_cam.training.small_networks:small_alexnet --size 64 \
        --batch-sizes 2 --precisions float32 --seconds 0 --blocks 1
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

from keras_cam.cli.quiet_libraries import import_quietly

import_quietly(start_devices=False)  # which would take the memory that the settings need

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from keras_cam.data import read_annotations  # noqa: E402
from keras_cam.training import Augmentation, Stage, TrainingConfig  # noqa: E402
from keras_cam.training.classifier import build_classifier, compile_classifier  # noqa: E402
from keras_cam.training.dataset import TrainingImages  # noqa: E402
from keras_cam.training.optimizer import build_optimizer  # noqa: E402
from training_blocks import block_of_steps  # noqa: E402
from turns import times_by_turns  # noqa: E402

TOLERANCES = {"float32": 0.01, "mixed_float16": 0.05}
"""By precision: how far the loss of each step may be from the CPU's in float32, as a part of it.

GPUs multiply float32 matrices in TF32, of which 10 bits follow the point, as in float16.
"""

AUGMENTATION = Augmentation(crop_scale=(0.08, 1.0), flip=True)
STEPS = 10
COMPARED_STEPS = 5


def main() -> int:
    arguments = arguments_of(sys.argv[1:])
    if arguments.setting:
        return measure(arguments, *json.loads(arguments.setting))
    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
    print(
        f"on {', '.join(names) or 'the CPU, for there is no GPU: this only shows that it runs'}", flush=True
    )
    print(f"{'precision':<14} {'XLA':<4} {'batch':>5} {'ours':>8} {'same':>8} {'fit':>8}  steps a second")
    failed = 0
    for setting in product(arguments.precisions, (False, True), arguments.batch_sizes):
        command = [sys.executable, __file__, *sys.argv[1:], "--setting", json.dumps(setting)]
        failed += subprocess.run(command, check=False).returncode != 0
    print(f"{failed} settings failed" if failed else "the losses of all settings agree with the CPU's")
    return int(failed > 0)


def arguments_of(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="see `keras_cam.data.read_annotations`; default: scikit-image's")
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--precisions", nargs="+", choices=TOLERANCES, default=list(TOLERANCES))
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[32, 128, 256])
    parser.add_argument("--size", type=int, default=224, help="height and width of the images")
    parser.add_argument("--seconds", type=float, default=30.0, help="for each setting, at the least")
    parser.add_argument("--blocks", type=int, default=5, help=f"of {STEPS} steps, at the least")
    parser.add_argument("--setting", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def measure(arguments: argparse.Namespace, precision: str, jit: bool, batch_size: int) -> int:
    """One line of the table; 1 if losses do not agree."""
    from training_pipeline import photos  # which starts the devices

    with tempfile.TemporaryDirectory() as folder:
        annotated = read_annotations(arguments.data, "train") if arguments.data else photos(Path(folder))
        size_hw = (arguments.size, arguments.size)
        stage = Stage(epochs=1000, learning_rate=1e-3)
        config = TrainingConfig((stage,), model=arguments.model, image_size=size_hw, dropout=0.0)
        images = TrainingImages(repeated(annotated, batch_size), size_hw, batch_size=batch_size)
        label = f"{precision:<14} {'yes' if jit else 'no':<4} {batch_size:>5}"
        difference = compare_losses(config, images, precision, jit)
        if not difference <= TOLERANCES[precision]:
            print(f"{label} losses differ by {difference:.2%}, more than {TOLERANCES[precision]:.0%}")
            return 1
        rates = steps_a_second(config, images, precision, jit, arguments)
    columns = " ".join(f"{rate:8.2f}" for rate in rates.values())
    print(f"{label} {columns}  losses differ by {difference:.2%} at most", flush=True)
    return 0


def repeated(annotated, count: int):
    """At least so many images, for a batch takes none twice."""
    times = -(-count // len(annotated))
    return type(annotated)(annotated.source, annotated.class_names, annotated.images * times)


def compare_losses(config: TrainingConfig, images: TrainingImages, precision: str, jit: bool) -> float:
    """The largest relative difference of a loss from that of the CPU in float32."""
    batches = list(images.batches(AUGMENTATION, 0, COMPARED_STEPS))
    with tf.device("/CPU:0"):
        model = compiled(config, images, "float32", False)
        weights = model.get_weights()
        expected = losses(model, batches)
    model = compiled(config, images, precision, jit)
    model.set_weights(weights)
    found = losses(model, batches)
    return max(abs(one - other) / other for one, other in zip(found, expected, strict=True))


def losses(model: keras.Model, batches: list) -> list[float]:
    """The loss of each step."""
    found = []
    step = block_of_steps(model, 1, batches[0])
    for batch in batches:
        model.reset_metrics()
        step(tf.data.Dataset.from_tensors(batch))
        found.append(float(model.get_metrics_result()["loss"]))
    return found


def compiled(config: TrainingConfig, images: TrainingImages, precision: str, jit: bool) -> keras.Model:
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(0)
    model = build_classifier(config, images.annotated.class_names)
    compile_classifier(model, config, build_optimizer(config.stages[0], 1000), jit_compile=jit)
    return model


def steps_a_second(
    config: TrainingConfig, images: TrainingImages, precision: str, jit: bool, arguments: argparse.Namespace
) -> dict[str, float]:
    [batch] = images.batches(AUGMENTATION, 0, 1)
    same = tf.data.Dataset.from_tensors(batch).repeat().prefetch(2)
    ours, keras_own = (compiled(config, images, precision, jit) for _ in range(2))
    run = block_of_steps(ours, STEPS, batch)
    blocks = {
        "ours": lambda: run(images.batches(AUGMENTATION, 0, STEPS)),
        "same": lambda: run(same),
        "fit": lambda: keras_own.fit(same, steps_per_epoch=STEPS, epochs=1, verbose=0, shuffle=False),
    }
    times = times_by_turns(blocks, arguments.seconds, turns=arguments.blocks)
    return {name: STEPS / statistics.median(found) for name, found in times.items()}


if __name__ == "__main__":
    sys.exit(main())
