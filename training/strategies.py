"""The devices of a training run: one, several in one machine, several machines, or TPUs.

TensorFlow itself is used here for `tf.distribute`.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

STRATEGIES = {
    "auto": "the first that applies: tpu, multi_worker, mirrored if there are several GPUs, one_device",
    "one_device": "a single GPU, or the CPU",
    "mirrored": "all GPUs of this machine; without GPUs, all its logical CPU devices",
    "multi_worker": "the workers of TF_CONFIG (Kubernetes, Ray, or by hand) or of Slurm, with their GPUs",
    "tpu": "the TPU that TPU_NAME names, or the TPU of this machine",
}
"""The names of the strategies, and the devices of each."""


def make_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """Make a distribution strategy by its name.

    The strategy for several workers has to be made before anything else in TensorFlow is used.

    Args:
        name: a key of `STRATEGIES`.

    Returns:
        A strategy; for one device, TensorFlow's default strategy.

    Raises:
        ValueError: there is no such strategy, or the environment does not name the workers.

    Examples:
        >>> make_strategy("one_device").num_replicas_in_sync
        1
    """
    if name not in STRATEGIES:
        raise ValueError(f"`strategy` must be one of {list(STRATEGIES)}. Received: strategy={name!r}")
    if name == "auto":
        name = _automatic()
    if name == "multi_worker":
        return tf.distribute.MultiWorkerMirroredStrategy(_worker_resolver())
    if name == "tpu":
        return _tpu_strategy()
    if name == "mirrored":
        kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        return tf.distribute.MirroredStrategy(
            [device.name for device in tf.config.list_logical_devices(kind)]
        )
    return tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the files of the run: the first worker, or the only one.

    Examples:
        >>> is_chief(make_strategy("one_device"))
        True
    """
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.cluster_spec().as_dict():
        return True
    chief = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return resolver.task_type in (None, chief) and (resolver.task_id or 0) == 0


class WorkerLostError(RuntimeError):
    """Another worker has stopped, without which this process cannot go on."""


@contextmanager
def noticing_lost_workers(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Turn the errors that TensorFlow raises when another worker has stopped into one.

    Raises:
        WorkerLostError: another worker has stopped.
    """
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
        if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            raise
        raise WorkerLostError("Another worker has stopped.") from error


def agree(strategy: tf.distribute.Strategy, number: int) -> bool:
    """Whether all workers have the same number.

    Examples:
        >>> agree(make_strategy("one_device"), 7)
        True
    """
    values = strategy.run(lambda: tf.stack([tf.constant(number, tf.int64), tf.constant(number**2, tf.int64)]))
    total, squares = strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None).numpy().tolist()
    # The variance is zero only if all numbers are equal.
    return total**2 == squares * strategy.num_replicas_in_sync


def _automatic() -> str:
    if "TPU_NAME" in os.environ or tf.config.list_physical_devices("TPU"):
        return "tpu"
    if _workers_in_tf_config() > 1 or int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        return "multi_worker"
    return "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "one_device"


def _workers_in_tf_config() -> int:
    cluster = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {})
    return sum(len(addresses) for job, addresses in cluster.items() if job in ("chief", "worker"))


def _worker_resolver() -> tf.distribute.cluster_resolver.ClusterResolver:
    if _workers_in_tf_config():
        return tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if "SLURM_STEP_NUM_TASKS" in os.environ:
        # Slurm assigns GPUs to tasks itself; the resolver would divide those that nvidia-smi lists.
        many = int(os.environ["SLURM_STEP_NUM_TASKS"])
        return tf.distribute.cluster_resolver.SlurmClusterResolver(
            gpus_per_node=many, gpus_per_task=1, auto_set_gpu=False
        )
    raise ValueError(
        'strategy="multi_worker" needs the environment variable TF_CONFIG with the addresses of the workers, '
        "or tasks that were started by Slurm's srun. Received: neither"
    )


def _tpu_strategy() -> tf.distribute.TPUStrategy:
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(os.environ.get("TPU_NAME", "local"))
    tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
    return tf.distribute.TPUStrategy(resolver)
