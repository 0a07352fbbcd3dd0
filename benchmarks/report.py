"""All tables of docs/benchmarks.md, by the programs that measure them, one after another.

    python benchmarks/report.py [--data DIR] [--only TITLE ...] [--output docs/benchmarks.md]

DIR has the data sets as folders: cub10, ilsvrc_val_dev, pets3 and tiny_imagenet20; without it, what needs
them is not measured. A section of the page is replaced when its program has ended well; the others stay,
whatever happens to this one. The last section takes half an hour, all others together three quarters of one.
"""

import argparse
import datetime
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from keras_cam.images.whole_file import whole_file

PACKAGES = ("keras-cam", "tensorflow", "keras", "numpy", "opencv-python", "ai-edge-litert", "onnxruntime")

# Title, what it is about, commands. DATA stands for --data, TEMPORARY for a folder that is then removed.
SECTIONS = (
    (
        "Maps and boxes beside the classifier",
        "Inside one `tf.function`, photos one by one and in batches.",
        ["python benchmarks/localizer_cost.py"],
    ),
    (
        "Runtimes",
        "What one photo takes in every format that models are exported to, and what localizing adds.",
        ["python benchmarks/runtimes.py"],
    ),
    (
        "Refined maps",
        '`refine="affinity"` against the paper\'s rule, at the same image size.',
        ["python benchmarks/refinement_cost.py"],
    ),
    (
        "A second look",
        '`refine="look_again"` against two passes by the paper\'s rule, at the same image size.',
        ["python benchmarks/refinement_cost.py --models efficientnet_lite0 --refine look_again"],
    ),
    ("Memory", "Resident memory over a thousand calls.", ["python benchmarks/localizer_memory.py"]),
    (
        "Localization on ILSVRC",
        "654 validation images, by the paper's rule and with refined maps.",
        [
            "keras-cam evaluate --data DATA/ilsvrc_val_dev",
            "keras-cam evaluate --data DATA/ilsvrc_val_dev --refine affinity",
        ],
    ),
    (
        "Size and agreement of quantized files",
        "Half of the images of `ilsvrc_val_dev` show what activations are like, the other half judges.",
        ["python benchmarks/quantization.py --data DATA/ilsvrc_val_dev"],
    ),
    (
        "Judging maps at all thresholds",
        "The metric MaxBoxAcc asks for the boxes of a map at a thousand thresholds.",
        ["python benchmarks/box_curve_speed.py"],
    ),
    (
        "Large photos",
        "JPEGs of 24 megapixels at a reduced scale, against decoding them whole.",
        ["python benchmarks/large_photos.py"],
    ),
    (
        "Training input",
        "Reading photos of ImageNet's size, and smaller ones, against bare decoding and against a step.",
        [
            "python benchmarks/training_pipeline.py",
            "python benchmarks/training_pipeline.py --data DATA/pets3",
        ],
    ),
    ("Training step", "Ours against Keras' `fit`.", ["python benchmarks/training_step.py"]),
    (
        "Training on several workers",
        "Two processes with a core each, as two machines would be.",
        ["python benchmarks/worker_scaling.py"],
    ),
    (
        "Classes the network was not trained on",
        "Ten kinds of birds, by a linear head on frozen features.",
        ["python benchmarks/new_classes.py --data DATA/cub10"],
    ),
    (
        "Small objects in large photos",
        "A second look, in the network's input and in the photo itself, at objects pasted into photos.",
        ["python benchmarks/second_look.py --data DATA/ilsvrc_val_dev"],
    ),
    (
        "Fine-grained recognition from CAM boxes",
        "The paper's section 4.1 on ten kinds of birds.",
        ["keras-cam finegrained --data DATA/cub10 --split train --split test --repeats 4 --refine affinity"],
    ),
    (
        "Questions about photos",
        "The paper's section 4.3, on birds, cats and dogs.",
        ["python benchmarks/questions_about_photos.py --data bird DATA/cub10 --data pet DATA/pets3"],
    ),
    (
        "Text detectors",
        "The paper's section 4.2, on photos into which text is rendered.",
        [
            "python examples/rendered_text.py TEMPORARY/words",
            "python benchmarks/text_features.py TEMPORARY/words",
        ],
    ),
    (
        "The paper's Table 2 in miniature",
        "Small networks trained from scratch, global average against global maximum pooling.",
        ["python benchmarks/small_networks.py --data DATA/tiny_imagenet20"],
    ),
)

HEAD = """# Benchmarks

Every figure here was printed by the command above it. `make benchmarks DATA=folder/` runs all of them again;
`python benchmarks/report.py --only Runtimes` one. Ratios carry over to other machines better than seconds do.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, metavar="DIR", help="the folder of the data sets")
    titles = [title for title, _, _ in SECTIONS]
    parser.add_argument("--only", nargs="+", choices=titles, default=titles, metavar="TITLE")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "docs" / "benchmarks.md")
    arguments = parser.parse_args()
    texts = sections_of(arguments.output)
    failed = False
    for title, about, commands in SECTIONS:
        if title not in arguments.only or (arguments.data is None and any("DATA" in one for one in commands)):
            continue
        print(f"== {title}", flush=True)
        try:
            texts[title] = measured(about, commands, arguments.data)
        except subprocess.CalledProcessError as error:
            print(f"{error}\n{error.stderr}", file=sys.stderr)
            failed = True
            continue
        parts = [f"## {title}\n\n{texts[title]}\n" for title, _, _ in SECTIONS if title in texts]
        with whole_file(arguments.output) as unfinished:
            unfinished.write_text("\n".join([HEAD, *parts]), encoding="utf-8")
    sys.exit(failed)


def sections_of(page: Path) -> dict[str, str]:
    """The sections that the page has, by their titles."""
    _, *parts = re.split(
        r"^## ", page.read_text(encoding="utf-8") if page.exists() else "", flags=re.MULTILINE
    )
    return {title: text.strip() for title, _, text in (part.partition("\n") for part in parts)}


def measured(about: str, commands: list[str], data: Path | None) -> str:
    """A section: what it is about, each command with what it printed, and where and when that was."""
    begun, blocks = time.monotonic(), []
    with tempfile.TemporaryDirectory() as temporary:
        for command in commands:
            words = shlex.split(command)
            places = {"DATA": str(data), "TEMPORARY": temporary}
            for name, place in places.items():
                words = [re.sub(rf"^{name}(?=/)", lambda _, place=place: place, word) for word in words]
            program = [
                sys.executable,
                *(words[1:] if words[0] == "python" else ["-m", "keras_cam.cli.main", *words[1:]]),
            ]
            done = subprocess.run(program, capture_output=True, text=True, check=True)
            lines = [line.rstrip() for line in done.stdout.splitlines()]
            text = "\n".join(lines).strip("\n")
            for name, place in places.items():
                text = text.replace(place, name)
            print(text, flush=True)
            blocks.append(f"```console\n$ {command}\n{text}\n```")
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return "\n\n".join(
        [
            about,
            *blocks,
            f"{datetime.date.today()}, {time.monotonic() - begun:.0f} s on {machine()}, "
            f"Python {platform.python_version()}; {versions}.",
        ]
    )


def machine() -> str:
    """The processor and how many of its threads there are."""
    linux = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*:\s*(.*)", linux.read_text() if linux.exists() else "", re.MULTILINE)
    return f"{os.cpu_count()} threads of {names[0] if names else platform.processor()}"


if __name__ == "__main__":
    main()
