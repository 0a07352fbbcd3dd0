"""Shards as elements of a Beam pipeline."""

import logging
import os
import shlex
from collections.abc import Iterable, Iterator
from functools import partial

from keras_cam.shards.run import Localize, Shard, make_part

OPTIONS = "KERAS_CAM_BEAM_OPTIONS"
"""The environment variable with options of pipelines, such as `--runner=FlinkRunner --flink_master=host`."""


def run_on_beam(localize: Localize, shards: Iterable[Shard]) -> Iterator[Shard]:
    """Run shards as the elements of a pipeline.

    The runner is that of the options in `KERAS_CAM_BEAM_OPTIONS`, or else this process. All shards are in the
    pipeline from the start, and are done when it ends. What died is run again by the runners of clusters;
    Beam's own local one with several processes hangs then, so that it is not used. All machines see the
    photos and the folder of the parts under the same names.

    Raises:
        OSError: the pipeline failed.
    """
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # errors of workers are raised, too
    waiting = list(shards)
    options = PipelineOptions(shlex.split(os.environ.get(OPTIONS, "--runner=FnApiRunner")))
    make = beam.Map(partial(make_part, localize))
    try:
        with beam.Pipeline(options=options) as pipeline:
            pipeline | beam.Create(waiting) | beam.Reshuffle() | "MakeParts" >> make
    except RuntimeError as error:  # with the traceback of a worker
        raise OSError(str(error).strip().rpartition("\n")[2]) from error
    yield from waiting
