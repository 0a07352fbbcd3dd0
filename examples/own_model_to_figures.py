"""From a Keras classifier of your own to a figure and a table for a paper.

    python examples/own_model_to_figures.py classifier.keras birds/ --split test --output figures/

The classifier takes RGB pixels in 0..255, and its classes are those of the images, in the same
order. The images have boxes, in any layout that `keras_cam.read_annotations` reads. The folder
figures/ gets table.md and table.tex with all rates and their 95 % intervals, and figure1.pdf,
figure2.pdf and so on, each with a photo and the maps and boxes of its two best classes.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import keras

import keras_cam
from keras_cam.drawing import figure
from keras_cam.evaluation import evaluation_table, format_table


def main(classifier: Path, images: str, split: str | None, output: Path, figures: int) -> None:
    """Evaluate `classifier` on `images`, and write tables and figures to `output`."""
    output.mkdir(parents=True, exist_ok=True)

    # 1. The classifier becomes a localizer, which shares its layers: nothing is trained.
    annotated = keras_cam.read_annotations(images, split)
    model = keras.models.load_model(classifier, compile=False)
    localizer = keras_cam.build_localizer(model, labels=annotated.class_names)

    # 2. One pass over the images gives all rates.
    evaluation = keras_cam.evaluate(localizer, annotated, model_name=classifier.stem)
    for error in evaluation.failures:
        print(f"Left out: {error}")
    header, rows = evaluation_table([evaluation])
    for style, name in (("markdown", "table.md"), ("latex", "table.tex")):
        (output / name).write_text(format_table(header, rows, style) + "\n", encoding="utf-8")
    print(format_table(header, rows, "markdown"))

    # 3. Photos with the maps and boxes of their best classes, one file each.
    for number, image in enumerate(annotated[:figures], 1):
        [record] = keras_cam.localize(image.read(), localizer)
        sheet = figure(record.pixels, replace(record, image=image.name), top=2)
        sheet.savefig(output / f"figure{number}.pdf")
    print(f"Tables and figures: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("classifier", type=Path, help="the .keras file")
    parser.add_argument("images", help="images with boxes: a folder, COCO JSON, CSV, ...")
    parser.add_argument("--split", help="the part of the images, such as test; default: all")
    parser.add_argument("--output", type=Path, default=Path("figures"), help="folder of results")
    parser.add_argument("--figures", type=int, default=3, help="how many photos get a figure")
    main(**vars(parser.parse_args()))
