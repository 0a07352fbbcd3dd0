"""Programs that tests start in processes of their own."""

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

PRELOADED = ["tensorflow", "keras", "cv2", "matplotlib.pyplot", "keras_cam.cli.main"]
KERAS_CAM = ("-m", "keras_cam.cli.main")


def run(*command, env=None):
    """Run a program to its end; the result has `returncode`, and `stdout` and `stderr` as text."""
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, env=env)


def run_python(*arguments, env=None):
    """Run Python to its end: `run_python("-c", CODE, path)`, `run_python(*KERAS_CAM, "models")`."""
    return run(sys.executable, *arguments, env=env)


def start_python(*arguments, env=None):
    """Start Python and return at once; `communicate()` waits for stdout and stderr, as text."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def start_keras_cam(arguments, log):
    """Start `keras-cam` in a process forked from one that has imported TensorFlow, which saves seconds.

    What it writes goes to the file `log`. The result has `kill()`, `join()` and `exitcode`.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=_command, args=(list(map(str, arguments)), log))
    process.start()
    return process


def _command(arguments, log):
    from keras_cam.cli.main import main

    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.exit(main(arguments))


def call_in_processes(function, arguments):
    """The results of calls, one after the other, each in a process of its own; one that dies is an error."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    results = []
    for one in arguments:
        with ProcessPoolExecutor(1, context) as pool:
            results.append(pool.submit(function, *one).result())
    return results
