"""Programs that tests start in processes of their own."""

import subprocess
import sys

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
