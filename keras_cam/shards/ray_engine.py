"""Shards as tasks of Ray."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from keras_cam.shards.few_at_once import few_at_once
from keras_cam.shards.run import RETRIES, Localize, Shard, make_part


def run_on_ray(localize: Localize, shards: Iterable[Shard]) -> Iterator[Shard]:
    """Run shards as tasks of Ray, on the cluster that `RAY_ADDRESS` names or on a new local one.

    A task takes a processor, and a GPU if the cluster has any; a worker keeps its localizer for the next
    task. All machines see the photos and the folder of the parts under the same names.

    Raises:
        OSError: the workers of a shard died several times.
    """
    import ray

    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False)
    gpus = 1 if ray.cluster_resources().get("GPU") else 0
    task = ray.remote(make_part).options(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)
    shared = ray.put(localize)

    def wait(running: Collection[Any]) -> Any:
        [done], _ = ray.wait(list(running))
        try:
            ray.get(done)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayError as error:
            raise OSError(str(error)) from error
        return done

    yield from few_at_once(
        shards,
        start=lambda shard: task.remote(shared, shard),
        wait=wait,
        processors=lambda: int(ray.cluster_resources().get("CPU", 0)),
    )
