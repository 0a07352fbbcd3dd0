"""Where shards run: the table of engines. An engine only says which shard runs where, and that it is done.

Importing this module imports none of them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from keras_cam.shards.beam_engine import run_on_beam
from keras_cam.shards.ray_engine import run_on_ray
from keras_cam.shards.run import Engine, Localize, Shard, make_part
from keras_cam.shards.spark_engine import run_on_spark


def run_here(localize: Localize, shards: Iterable[Shard]) -> Iterator[Shard]:
    """Run shards one after the other in this process, which uses all processors."""
    for shard in shards:
        make_part(localize, shard)
        yield shard


@dataclass(frozen=True)
class EngineRow:
    """An engine.

    Attributes:
        summary: what it is, for people.
        run: the engine.
        package: what it imports; None: nothing else.
        extra: the extra of this package that brings it.
    """

    summary: str
    run: Engine
    package: str | None = None
    extra: str | None = None

    def check_installed(self) -> None:
        """Raise a `ModuleNotFoundError` unless its package is installed."""
        if self.package and not find_spec(self.package):
            raise ModuleNotFoundError(
                f'This engine needs the package {self.package}: pip install "keras-cam[{self.extra}]"'
            )


ENGINES = {
    "local": EngineRow("this process", run_here),
    "ray": EngineRow("a Ray cluster, or a local one", run_on_ray, "ray", extra="ray"),
    "spark": EngineRow("a Spark cluster, or a local one", run_on_spark, "pyspark", extra="spark"),
    "beam": EngineRow("a Beam runner, or this process", run_on_beam, "apache_beam", extra="beam"),
}
"""The engines by name."""
