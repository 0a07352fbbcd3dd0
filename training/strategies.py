"""Where a training run computes: one device, several in one machine, several machines, or TPUs.

TensorFlow itself is used here for `tf.distribute`.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

STRATEGIES = {
    "auto": "what is there: TPUs, the workers that TF_CONFIG or Slurm name, all GPUs, or one device",
    "one_device": "a single GPU, or the CPU",
    "mirrored": "all GPUs of this machine, or else all its logical CPU devices",
    "multi_worker": "the workers that TF_CONFIG (Kubernetes, Ray, by hand) or Slurm name, each with its GPUs",
    "tpu": "the TPU that TPU_NAME names, or that of this machine",
}
"""The names of the strategies, and what each stands for."""


def make_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """The strategy of a name.

    The one for several workers has to be made before anything else in TensorFlow is used.

    Args:
        name: a key of `STRATEGIES`.

    Returns:
        A strategy; that of one device is TensorFlow's default one.

    Raises:
        ValueError: if there is no such strategy, or nothing in the environment names the workers.

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
    """Whether this process is the one that writes files: the first worker, or the only one.

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
    """Another worker has gone, without which nothing can go on in this process."""


@contextmanager
def noticing_lost_workers(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Tells the errors of TensorFlow that mean that another worker has gone.

    Raises:
        WorkerLostError: if one has.
    """
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
        if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            raise
        raise WorkerLostError("Another worker has gone.") from error


def agree(strategy: tf.distribute.Strategy, number: int) -> bool:
    """Whether all workers have the same number.

    Examples:
        >>> agree(make_strategy("one_device"), 7)
        True
    """
    values = strategy.run(lambda: tf.stack([tf.constant(number, tf.int64), tf.constant(number**2, tf.int64)]))
    total, squares = strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None).numpy().tolist()
    # Only equal numbers have no variance.
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
        # Slurm itself gives each task its GPUs; the resolver would divide those that nvidia-smi shows.
        many = int(os.environ["SLURM_STEP_NUM_TASKS"])
        return tf.distribute.cluster_resolver.SlurmClusterResolver(
            gpus_per_node=many, gpus_per_task=1, auto_set_gpu=False
        )
    raise ValueError(
        'strategy="multi_worker" needs the environment variable TF_CONFIG with the addresses of the workers, '
        "or tasks that Slurm's srun has started. Received: neither"
    )


def _tpu_strategy() -> tf.distribute.TPUStrategy:
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(os.environ.get("TPU_NAME", "local"))
    tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
    return tf.distribute.TPUStrategy(resolver)
