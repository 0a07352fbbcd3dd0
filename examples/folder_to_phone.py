"""From a folder of labelled photos to a file for a phone: train, export, and try the exported file.

    python examples/folder_to_phone.py photos/ new_photo.jpg --output phone/

Training photos are in photos/train/CLASS/, at least 16 of them, and photos to validate in
photos/test/CLASS/; there are no boxes. The folder phone/ gets the trained classifier and localizer
with a model card, the file localizer.tflite, and new_photo.png with the map and the box of its
best class. An interrupted run goes on with the same command. The recipe is that of the
configuration `pets3`, which takes about a minute for each 100 photos on two CPU cores.
"""

import argparse
from pathlib import Path

import keras_cam
from keras_cam.export import save_litert
from keras_cam.training import train
from keras_cam.training.transfer_recipe import transfer_recipe


def main(
    photos: str,
    photo: str,
    output: Path,
    image_size: int,
    head_epochs: int,
    epochs: int,
) -> None:
    """Train on `photos`, write files to `output`, try the file for the phone on `photo`."""
    # 1. Train: first the head of a network that knows ImageNet, then gently all layers.
    recipe = transfer_recipe(image_size=image_size, head_epochs=head_epochs, epochs=epochs)
    trained = train(recipe, photos, output / "run")

    # 2. Export: one file with network, boxes and class names, which needs no TensorFlow.
    phone_file = save_litert(trained.localizer, output / "localizer.tflite")
    print(f"For the phone: {phone_file}, {phone_file.stat().st_size / 1e6:.1f} MB")

    # 3. Try what the phone will run.
    [record] = keras_cam.localize(photo, phone_file)
    for detection in record.detections:
        print(f"{detection.label} {detection.score:.1%}, box {detection.box_xyxy}")
    picture = output / f"{Path(photo).stem}.png"
    record.save(picture)
    print(f"Picture: {picture}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", help="the folder with train/CLASS/ and test/CLASS/")
    parser.add_argument("photo", help="a photo to try the exported file with")
    parser.add_argument("--output", type=Path, default=Path("phone"), help="folder of the results")
    parser.add_argument("--image-size", type=int, default=288, help="height and width in pixels")
    parser.add_argument("--head-epochs", type=int, default=30, help="epochs for the head only")
    parser.add_argument("--epochs", type=int, default=3, help="epochs that train all layers")
    main(**vars(parser.parse_args()))
