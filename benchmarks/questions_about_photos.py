"""How well questions about animals in photos are answered, and whether the map of the answer is on them.

    python benchmarks/questions_about_photos.py --data bird cub10 --data pet pets3 [--layer NAME]

Of each photo it is asked what animal it shows, KIND, and of which species or breed that is, the class. The
boxes of the data sets only judge the answers.
"""

import argparse

from keras_cam.cli.quiet_libraries import import_quietly

import_quietly()

import keras_cam  # noqa: E402
from keras_cam.applications.discovery.answerer_training import train_answerer  # noqa: E402
from keras_cam.applications.discovery.question_answering import judge_answers  # noqa: E402
from keras_cam.applications.discovery.vqa_json import Question, Questions, normalized_answer  # noqa: E402
from keras_cam.applications.features import backbone_of  # noqa: E402
from keras_cam.data import AnnotatedImage, AnnotatedImages, read_annotations  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs=2, action="append", required=True, metavar=("KIND", "PATH"))
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--layer", help="whose output is the feature map")
    arguments = parser.parse_args()
    train, test = (questions_about(arguments.data, split) for split in ("train", "test"))
    network = keras_cam.build_model(arguments.model, weights="imagenet")
    trained = train_answerer(backbone_of(network, arguments.layer), train)
    print(f"{trained.questions} questions to learn from, {trained.model.output_shape[-1]} answers")
    figures = judge_answers(trained.model, test)
    print(f"right of {figures.questions} answers   {figures.accuracy:.1%}")
    print(f"by the words alone      {figures.words_only:.1%}")
    print(f"by the image alone      {figures.image_only:.1%}")
    print(f"maps that point at it   {figures.pointing:.1%}")


def questions_about(sources: list[tuple[str, str]], split: str) -> Questions:
    images: list[AnnotatedImage] = []
    questions: list[Question] = []
    for kind, path in sources:
        annotated = read_annotations(path, split)
        for image in annotated:
            name = annotated.class_names[image.label].lstrip(".0123456789").replace("_", " ")
            box = tuple(image.boxes_xyxy[0].tolist())
            for text, said in (("What animal is it?", kind), ("Of which species or breed is it?", name)):
                answer = normalized_answer(said)
                number = str(len(questions))
                questions.append(Question(number, text, len(images), answer, (answer,) * 10, box))
            images.append(image)
    named = [
        AnnotatedImage(f"{place}", image.image, 0, (0,), size_wh=image.size_wh)
        for place, image in enumerate(images)
    ]
    return Questions(AnnotatedImages("animals", ("image",), tuple(named)), tuple(questions))


if __name__ == "__main__":
    main()
