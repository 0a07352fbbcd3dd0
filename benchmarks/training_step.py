"""Our training step against Keras' own `fit`: the same network, the same batches, by turns in one run.

    python benchmarks/training_step.py [--model efficientnet_lite0] [--batch-size 16] [--size 224] [--seconds
    120]

Blocks of steps take turns; each block of either begins with an iterator of its own. `fit` runs as it is by
default, which has XLA compile its step, and with `jit_compile=False`. The ratio is steps per second of ours
to those of `fit`, of the medians and of the best blocks, which other work on the machine disturbs least.
"""

import argparse
import statistics

from keras_cam.cli.quiet_libraries import import_quietly

import_quietly()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from keras_cam.training import Stage, TrainingConfig  # noqa: E402
from keras_cam.training.classifier import build_classifier, compile_classifier  # noqa: E402
from keras_cam.training.optimizer import build_optimizer  # noqa: E402
from training_blocks import block_of_steps  # noqa: E402
from turns import ratios, times_by_turns  # noqa: E402

CLASSES = 10
STEPS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--seconds", type=float, default=120.0)
    arguments = parser.parse_args()
    stage = Stage(epochs=1000, learning_rate=1e-3)
    config = TrainingConfig((stage,), model=arguments.model, image_size=(arguments.size, arguments.size))
    batches = dataset(arguments.batch_size, arguments.size)
    blocks = {
        "ours": our_block(config, batches),
        "fit": fit_block(config, batches, "auto"),
        "fit, jit_compile=False": fit_block(config, batches, False),
    }
    times = times_by_turns(blocks, arguments.seconds, turns=5)
    for name, found in times.items():
        medians, best = ratios(found, times["ours"])
        milliseconds = 1e3 * statistics.median(found) / STEPS
        print(
            f"{name:<21} {milliseconds:8.1f} ms a step; ours is {medians:.3f} times "
            f"as fast by medians, {best:.3f} by the best of {len(found)} blocks"
        )


def dataset(batch_size: int, size: int) -> tf.data.Dataset:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch_size, size, size, 3)).astype(np.float32)
    labels = np.eye(CLASSES, dtype=np.float32)[np.arange(batch_size) % CLASSES]
    batch = tf.data.Dataset.from_tensors((images, labels, np.ones(batch_size, np.float32)))
    return batch.repeat().prefetch(2)


def compiled(config: TrainingConfig, jit_compile) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = build_classifier(config, [f"class {index}" for index in range(CLASSES)])
    compile_classifier(model, config, build_optimizer(config.stages[0], 1000), jit_compile=jit_compile)
    return model


def our_block(config: TrainingConfig, batches: tf.data.Dataset):
    model = compiled(config, False)
    train_on = block_of_steps(model, STEPS, next(iter(batches)))
    return lambda: train_on(batches)


def fit_block(config: TrainingConfig, batches: tf.data.Dataset, jit_compile):
    model = compiled(config, jit_compile)
    return lambda: model.fit(batches, steps_per_epoch=STEPS, epochs=1, verbose=0)


if __name__ == "__main__":
    main()
