"""What C libraries write to stderr does not tear a progress bar, and is shown if the process fails."""

import os
import pty
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from processes import run_python

BAR = "from keras_cam.cli.console import progress\nwith progress(3, 'Working') as advance:\n    advance()\n"
IMPORT = "from keras_cam.cli.quiet_libraries import quiet_c_libraries\nwith quiet_c_libraries():\n"
TRAINING = BAR.replace("cli.console", "progress").replace("advance()", "advance(1)")
C_WRITES = "    import os, sys; os.write(2, b'C was here\\n')\n"
BLOCKS = {"bar": BAR, "import": IMPORT}


def on_terminal(*arguments):
    """Run Python with a terminal as its stderr; returns the exit status and what the terminal shows."""
    terminal, stderr = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)], stderr=stderr, stdout=subprocess.DEVNULL
    )
    os.close(stderr)
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # all writers have gone
            break
    os.close(terminal)
    return process.wait(), shown.decode()


def in_a_pipe(*arguments):
    """Run Python with a pipe as its stderr; returns the exit status and what came through the pipe."""
    done = run_python(*arguments)
    return done.returncode, done.stderr


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("__import__('ctypes').string_at(0)", -11),
        ("os.abort()", -6),
        ("os.kill(os.getpid(), 9)", -9),
        ("sys.exit(3)", 3),
        ("raise ImportError", 1),
    ],
)
def test_what_c_wrote_is_shown_when_the_process_fails(block, end, status):
    found, shown = on_terminal("-c", f"{BLOCKS[block]}{C_WRITES}    {end}\n")
    assert found == status
    assert shown.count("C was here") == 1


@pytest.mark.parametrize("block", BLOCKS)
def test_what_c_wrote_is_dropped_when_all_went_well(block):
    status, shown = on_terminal("-c", f"{BLOCKS[block]}{C_WRITES}print('after', file=sys.stderr)\n")
    assert status == 0
    assert "C was here" not in shown
    assert "after" in shown


@pytest.mark.parametrize("block", BLOCKS)
def test_python_writes_to_stderr_as_always(block):
    code = f"{BLOCKS[block]}{C_WRITES}    print('Python was here', file=sys.stderr)\n"
    status, shown = on_terminal("-c", code)
    assert status == 0
    assert "Python was here" in shown
    assert "C was here" not in shown


def test_a_logger_made_meanwhile_goes_on_writing():
    code = f"{IMPORT}    import logging; logging.basicConfig()\nlogging.error('logged later')\n"
    assert in_a_pipe("-c", code) == (0, "ERROR:root:logged later\n")


def test_faulthandler_tells_where_the_process_was():
    code = f"import faulthandler\nfaulthandler.enable()\n{IMPORT}{C_WRITES}    os.abort()\n"
    status, shown = in_a_pipe("-c", code)
    assert status == -6
    assert "Fatal Python error: Aborted" in shown
    assert "C was here" in shown


@pytest.mark.parametrize("block", BLOCKS)
def test_a_crash_on_a_terminal_shows_what_c_and_python_know_of_it(block):
    crash = "    __import__('ctypes').string_at(0)\n"
    status, shown = on_terminal("-X", "faulthandler", "-c", f"{BLOCKS[block]}{C_WRITES}{crash}")
    assert status == -11
    assert "Fatal Python error: Segmentation fault" in shown
    assert shown.count("C was here") == 1


@pytest.mark.parametrize("block", BLOCKS)
def test_an_exit_keeps_its_text(block):
    status, shown = on_terminal("-c", f"{BLOCKS[block]}{C_WRITES}    sys.exit('the reason')\n")
    assert status == 1
    assert shown.count("C was here") == shown.count("the reason") == 1


def test_an_inner_block_that_ends_well_leaves_the_outer_one_its_text():
    inner = "    with quiet_c_libraries():\n        os.write(2, b'inner\\n')\n"
    status, shown = in_a_pipe("-c", f"{IMPORT}{C_WRITES}{inner}    os.abort()\n")
    assert (status, shown) == (-6, "C was here\n")


def test_of_much_text_the_end_is_kept():
    code = f"{IMPORT}    import os\n    os.write(2, b'start' + bytes(100_000) + b'end')\n    os._exit(4)\n"
    status, shown = in_a_pipe("-c", code)
    assert status == 4
    assert len(shown) == 65536
    assert shown.endswith("end")


def test_without_a_terminal_a_bar_holds_nothing_back():
    assert in_a_pipe("-c", f"{BAR}{C_WRITES}") == (0, "C was here\n")


def test_training_draws_its_bars_and_holds_nothing_back():
    status, shown = on_terminal("-c", f"{TRAINING}{C_WRITES}")
    assert status == 0
    assert "Working" in shown
    assert "C was here" in shown


def test_a_bar_is_not_torn_by_what_libtiff_says_about_a_broken_file(colour_classifier, tmp_path):
    colour_classifier.save(tmp_path / "colours.keras")
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    image.save(tmp_path / "broken.tif", compression="tiff_lzw")
    content = bytearray((tmp_path / "broken.tif").read_bytes())
    content[100:2000] = bytes(1900)  # libtiff writes a warning
    (tmp_path / "broken.tif").write_bytes(content)
    command = ["-m", "keras_cam.cli.main", "localize", tmp_path / "broken.tif"]
    command += ["--model", tmp_path / "colours.keras", "--json"]
    status, shown = on_terminal(*command)
    assert status == 1
    assert "Localizing" in shown
    assert "Cannot read" in shown
    assert "LZWDecode" not in shown
    status, shown = in_a_pipe(*command)
    assert status == 1
    assert "LZWDecode" in shown
