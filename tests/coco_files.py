"""COCO JSON files for tests."""

import json


def write_coco(file, images, class_names):
    """Write one COCO JSON file.

    Args:
        file: its path.
        images: for each file name the width and height, and a list of what is annotated: the class name, and
            a box as x, y, width, height or None.
        class_names: the categories, whose ids are counted from 0.
    """
    annotations = [
        {"image_id": number, "category_id": class_names.index(name)} | ({"bbox": bbox} if bbox else {})
        for number, (_, annotated) in enumerate(images.values())
        for name, bbox in annotated
    ]
    document = {
        "images": [
            {"id": number, "file_name": name, "width": width, "height": height}
            for number, (name, ((width, height), _)) in enumerate(images.items())
        ],
        "annotations": [{"id": number, **entry} for number, entry in enumerate(annotations)],
        "categories": [{"id": number, "name": name} for number, name in enumerate(class_names)],
    }
    file.write_text(json.dumps(document))
