"""Steps of two workers against those of one process, each on a core of its own.

    python benchmarks/worker_scaling.py [--model efficientnet_lite0] [--size 128] [--batch-size 8] [--rounds
    5]

Every process is tied to one core, so that a second worker has a second core as a second machine would be. The
batch of a worker stays the same (weak scaling). One process alone, two that know nothing of each other, and
two workers of `MultiWorkerMirroredStrategy` on loopback take turns. The second pair shows what sharing memory
and caches costs by itself; the difference to the third is what exchanging gradients costs.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time

STEPS = 8
SETTINGS = ("one process", "two strangers", "two workers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=8, help="of each worker")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--core", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.core is not None:
        work(arguments)
        return
    rates: dict[str, list[float]] = {name: [] for name in SETTINGS}
    for _ in range(arguments.rounds):
        for name in SETTINGS:
            rates[name].append(images_per_second(name, arguments))
    for name, found in rates.items():
        print(f"{name:<14} {statistics.median(found):7.2f} images/s, best {max(found):7.2f}")
    alone, strangers, workers = (statistics.median(rates[name]) for name in SETTINGS)
    print(
        f"two workers: {workers / alone:.2f} times one process, {workers / strangers:.2f} times two strangers"
    )


def images_per_second(name: str, arguments: argparse.Namespace) -> float:
    """Of all processes of a setting together."""
    processes = 1 if name == "one process" else 2
    ports = free_ports(processes)
    running = []
    for core in range(processes):
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        if name == "two workers":
            cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
            task = {"type": "worker", "index": core}
            environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
        command = [sys.executable, __file__, "--core", str(core), "--model", arguments.model]
        command += ["--size", str(arguments.size), "--batch-size", str(arguments.batch_size)]
        running.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    found = [process.communicate()[0].splitlines()[-1] for process in running]
    return sum(map(float, found))


def work(arguments: argparse.Namespace) -> None:
    """One process: prints its images per second."""
    os.sched_setaffinity(0, {arguments.core})
    import numpy as np
    import tensorflow as tf

    from keras_cam.graph.keras_internals import build_for_batch
    from keras_cam.training import Stage, TrainingConfig
    from keras_cam.training.classifier import build_classifier, compile_classifier
    from keras_cam.training.optimizer import build_optimizer
    from keras_cam.training.stage import step_function
    from keras_cam.training.strategies import make_strategy

    strategy = make_strategy("multi_worker" if "TF_CONFIG" in os.environ else "one_device")
    stage = Stage(epochs=1, learning_rate=1e-3)
    config = TrainingConfig((stage,), model=arguments.model, image_size=(arguments.size,) * 2)
    with strategy.scope():
        model = build_classifier(config, ("a", "b"))
        compile_classifier(model, config, build_optimizer(stage, 1000))
    size = arguments.batch_size
    batch = (
        np.zeros((size, arguments.size, arguments.size, 3), np.float32),
        np.eye(2, dtype=np.float32)[np.arange(size) % 2],
        np.ones(size, np.float32),
    )
    batches = tf.data.Dataset.from_tensors(batch).repeat()
    iterator = iter(strategy.distribute_datasets_from_function(lambda _: batches))
    with strategy.scope():
        build_for_batch(model, next(iter(batches)))
        model.optimizer.build(model.trainable_variables)
    step = step_function(strategy, model)
    for _ in range(2):
        step(iterator)
    start = time.perf_counter()
    for _ in range(STEPS):
        step(iterator)
    with strategy.scope():
        model.get_metrics_result()
    print(STEPS * size / (time.perf_counter() - start))


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


if __name__ == "__main__":
    main()
