"""The table of annotation formats, with the writer of each.

Importing this module imports no writer.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class AnnotationFormat:
    """A format in which boxes and masks go to other tools.

    Attributes:
        summary: what it is for, and what is written.
        writer: "module:function"; a context manager, called with the path and `AnnotationOptions`. It yields
            a function that writes one `Localization`. What it writes is there after the `with` block, whole,
            or not at all if the block fails; memory does not grow with the number of records.
        suffix: the suffix of the file; "" for a folder, which must be new or empty.
        has_masks: whether it can hold masks.
        extra: the extra of this package that the writer needs; None for the plain installation.
    """

    summary: str
    writer: str
    suffix: str
    has_masks: bool = False
    extra: str | None = None


ANNOTATION_FORMATS = {
    "json": AnnotationFormat(
        summary="the records of --json, one object a line",
        writer="keras_cam.annotations.json_lines:json_lines_writer",
        suffix=".jsonl",
        has_masks=True,
    ),
    "coco": AnnotationFormat(
        summary="COCO's JSON, with scores; masks as run-length codes",
        writer="keras_cam.annotations.coco:coco_writer",
        suffix=".json",
        has_masks=True,
    ),
    "yolo": AnnotationFormat(
        summary="the folder that Ultralytics trains on, with the photos; masks as polygons in place of boxes",
        writer="keras_cam.annotations.yolo:yolo_writer",
        suffix="",
        has_masks=True,
    ),
    "voc": AnnotationFormat(
        summary="the folder of PASCAL VOC, with the photos; masks as palette PNG",
        writer="keras_cam.annotations.voc:voc_writer",
        suffix="",
        has_masks=True,
    ),
    "label-studio": AnnotationFormat(
        summary="a folder with tasks.json, predictions to correct, and label_config.xml; masks as brushes",
        writer="keras_cam.annotations.label_studio:label_studio_writer",
        suffix="",
        has_masks=True,
    ),
    "csv": AnnotationFormat(
        summary="a row for each detection",
        writer="keras_cam.annotations.tables:csv_writer",
        suffix=".csv",
    ),
    "parquet": AnnotationFormat(
        summary="the same columns for data frames and data bases",
        writer="keras_cam.annotations.tables:parquet_writer",
        suffix=".parquet",
        extra="discovery",
    ),
    "megadetector": AnnotationFormat(
        summary="MegaDetector's JSON, which tools for camera traps read",
        writer="keras_cam.annotations.megadetector:megadetector_writer",
        suffix=".json",
    ),
    "crops": AnnotationFormat(
        summary="a PNG for each detection, named by photo, rank and class",
        writer="keras_cam.annotations.crops:crops_writer",
        suffix="",
    ),
}
