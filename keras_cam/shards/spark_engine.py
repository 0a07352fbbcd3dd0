"""Shards as jobs of Spark."""

import os
import subprocess
import sys
import warnings
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

from keras_cam.shards.few_at_once import few_at_once
from keras_cam.shards.run import RETRIES, Localize, Shard, make_part

_GROUP = "keras-cam"

# A thread waits for each; there are as many threads as there were jobs at once.
_MOST_JOBS = 2048

# What holds unless Spark is configured otherwise.
_USUAL = {
    "spark.app.name": _GROUP,
    "spark.task.maxFailures": str(RETRIES + 1),
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "OFF",
}


def run_on_spark(localize: Localize, shards: Iterable[Shard]) -> Iterator[Shard]:
    """Run each shard as a job of one task, on the cluster that Spark is configured for or on this machine.

    A Python worker keeps its localizer for the next task. All machines see the photos and the folder of the
    parts under the same names.

    Raises:
        OSError: the workers of a shard died several times, or Java is missing.
    """
    context = _context()
    attempt = partial(_attempt, localize)

    def run(shard: Shard) -> None:
        context.setJobGroup(_GROUP, shard.path.name, interruptOnCancel=True)
        [error] = context.parallelize([shard], 1).map(attempt).collect()
        if error is not None:
            raise error

    threads = ThreadPoolExecutor(_MOST_JOBS, "keras_cam_spark")
    try:
        yield from few_at_once(
            shards,
            start=lambda shard: threads.submit(run, shard),
            wait=_finished,
            processors=lambda: context.defaultParallelism,
        )
    finally:
        context.cancelJobGroup(_GROUP)
        threads.shutdown(cancel_futures=True)


def _attempt(localize: Localize, shard: Shard) -> Exception | None:
    """Make a part; returns an error of its own, which Spark would repeat, as a value."""
    try:
        make_part(localize, shard)
    except (OSError, ValueError) as error:
        return error
    return None


def _finished(running: Collection[Future[None]]) -> Future[None]:
    from py4j.protocol import Py4JError

    done = next(iter(wait(running, return_when=FIRST_COMPLETED).done))
    try:
        done.result()
    except Py4JError as error:
        raise OSError(str(getattr(error, "java_exception", error)).partition("\n")[0]) from error
    return done


def _context() -> Any:
    """The SparkContext of this process, or a new one."""
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkRuntimeError
    from pyspark.java_gateway import launch_gateway

    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas")  # which is not used
    if SparkContext._active_spark_context:
        return SparkContext._active_spark_context
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        gateway = launch_gateway(popen_kwargs={"stderr": subprocess.DEVNULL})  # Java's banners
    except PySparkRuntimeError as error:
        raise OSError(f"Spark needs Java, and JAVA_HOME if it is not in PATH: {error}") from error
    conf = SparkConf(_jvm=gateway.jvm)
    for name, value in _USUAL.items():
        conf.setIfMissing(name, value)
    if conf.get("spark.master") == "local[*]":  # which runs nothing again
        conf.setMaster(f"local[*,{RETRIES + 1}]")
    return SparkContext(conf=conf, gateway=gateway)
