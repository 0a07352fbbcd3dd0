"""Where shards run: the table of engines. An engine only says which shard runs where, and that it is done.

Importing this module imports none of them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from keras_cam.shards.run import Engine, Localize, Shard, make_part

# A shard is run again when a worker or its machine dies; its own errors are not repeated.
_RETRIES = 10


@dataclass(frozen=True)
class EngineRow:
    """An engine.

    Attributes:
        summary: what it is, for people.
        run: the engine.
        extra: the extra of this package that it needs; None for the plain installation.
    """

    summary: str
    run: Engine
    extra: str | None = None


def run_here(localize: Localize, shards: Iterable[Shard]) -> Iterator[Shard]:
    """Run shards one after the other in this process, which uses all processors."""
    for shard in shards:
        make_part(localize, shard)
        yield shard


def run_on_ray(localize: Localize, shards: Iterable[Shard]) -> Iterator[Shard]:
    """Run shards as tasks of Ray, on the cluster that `RAY_ADDRESS` names or on a new local one.

    A task takes a processor, and a GPU if the cluster has any; a worker keeps its localizer for the next
    task. All machines see the photos and the folder of the parts under the same names.

    Raises:
        ModuleNotFoundError: the package ray is not installed.
        OSError: the workers of a shard died several times.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('--on ray needs the package ray: pip install "keras-cam[ray]"') from error
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False)
    gpus = 1 if ray.cluster_resources().get("GPU") else 0
    task = ray.remote(make_part).options(num_cpus=1, num_gpus=gpus, max_retries=_RETRIES)
    shared, running = ray.put(localize), {}
    for shard in shards:
        running[task.remote(shared, shard)] = shard
        # Few wait, so that memory is bounded, and some do, so that a cluster grows.
        while len(running) >= 2 * max(2, int(ray.cluster_resources().get("CPU", 0))):
            yield from _finished(ray, running)
    while running:
        yield from _finished(ray, running)


def _finished(ray: object, running: dict) -> Iterator[Shard]:
    [done], _ = ray.wait(list(running))  # type: ignore[attr-defined]
    try:
        ray.get(done)  # type: ignore[attr-defined]
    except ray.exceptions.RayTaskError as error:  # type: ignore[attr-defined]
        raise error.cause from error
    except ray.exceptions.RayError as error:  # type: ignore[attr-defined]
        raise OSError(f"{running[done].path.name}: {error}") from error
    yield running.pop(done)


ENGINES = {
    "local": EngineRow("this process", run_here),
    "ray": EngineRow("a Ray cluster, or a local one", run_on_ray, extra="ray"),
}
"""The engines by name."""
