"""Training of a model that answers questions about images.

TensorFlow itself is imported for `tf.data`.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_cam.applications.discovery.answerer import build_answerer
from keras_cam.applications.discovery.vqa_json import Questions
from keras_cam.applications.features import extract_features
from keras_cam.training.config import Stage
from keras_cam.training.optimizer import build_optimizer


@dataclass(frozen=True)
class TrainedAnswerer:
    """A trained answerer.

    Attributes:
        model: from `images` (B, H, W, 3) and `questions` (B,), strings, to logits of answers (B, N).
        questions: the number of questions it was trained on: those with a readable image and one of the N
            answers.
        history: the loss and the accuracy after each epoch.
        failures: error messages for images that could not be read.
    """

    model: keras.Model
    questions: int
    history: dict[str, list[float]]
    failures: tuple[str, ...]


def train_answerer(
    backbone: keras.Model,
    questions: Questions,
    *,
    answers: int = 1000,
    epochs: int = 40,
    batch_size: int = 256,
    seed: int = 0,
    on_image: Callable[[], None] = lambda: None,
) -> TrainedAnswerer:
    """Train a linear softmax classifier of answers on pooled features and a bag of words.

    The backbone is not trained. Its features are computed once for each image and kept in memory.

    Args:
        backbone: from images to features (B, h, w, C), see `keras_cam.applications.features.backbone_of`. The
            maps of earlier layers are finer.
        questions: see `keras_cam.applications.discovery.vqa_json.read_questions`.
        answers: the number of possible answers: the most frequent ones.
        epochs: passes over the questions, with AdamW and a cosine schedule.
        batch_size: the number of questions in a batch.
        seed: the seed of the order of questions.
        on_image: called after the features of each image are computed.

    Returns:
        The model and its history.

    Raises:
        ValueError: if no image can be read, or there are fewer than two answers.

    Reference:
        Zhou et al., CVPR 2016, section 4.3.
    """
    known = most_frequent_answers(questions, answers)
    if len(known) < 2:
        raise ValueError(f"There must be at least two answers to tell apart. Received: {list(known)}")
    table = extract_features(backbone, questions.images, on_image=on_image)
    rows = {name: row for row, name in enumerate(table.names)}
    labels = {answer: label for label, answer in enumerate(known)}
    used = [
        (rows[name], question.text, labels[question.answer])
        for question in questions.questions
        if (name := questions.images[question.image].name) in rows and question.answer in labels
    ]
    if not used:
        raise ValueError(f"There must be an image that can be read. Received: {table.failures[:1]}")
    places, texts, wanted = (list(column) for column in zip(*used, strict=True))
    model = build_answerer(backbone, texts, known)
    stage = Stage(epochs=epochs, learning_rate=0.01, optimizer="adamw", weight_decay=0.05, warmup_epochs=1.0)
    history = _train(model, table.vectors, (places, texts, wanted), stage, batch_size, seed)
    return TrainedAnswerer(model, len(used), history, table.failures)


def most_frequent_answers(questions: Questions, count: int) -> tuple[str, ...]:
    """The `count` most frequent answers; equally frequent ones are sorted alphabetically."""
    counts = Counter(question.answer for question in questions.questions if question.answer)
    return tuple(sorted(counts, key=lambda answer: (-counts[answer], answer))[:count])


def _train(
    model: keras.Model,
    vectors: np.ndarray,
    examples: tuple[list[int], list[str], list[int]],
    stage: Stage,
    batch_size: int,
    seed: int,
) -> dict[str, list[float]]:
    """Train the linear layers. An example is the index of a row of features, a question and a label."""
    image_evidence, word_evidence = model.get_layer("image_evidence"), model.get_layer("word_evidence")
    standardized = image_evidence.get_layer("standardized")
    standardized.set_weights([vectors.mean(axis=0), vectors.var(axis=0)])
    inputs = {
        "vectors": keras.Input(vectors.shape[1:], name="vectors"),
        "questions": keras.Input((), dtype="string", name="questions"),
    }
    seen = image_evidence.get_layer("head")(standardized(inputs["vectors"], training=False))
    trainee = keras.Model(inputs, seen + word_evidence(inputs["questions"]))
    places, texts, wanted = examples
    steps = -(-len(places) // batch_size)
    trainee.compile(
        build_optimizer(stage, steps),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    features = tf.constant(vectors)

    def example(place: Any, text: Any, label: Any) -> Any:
        return {"vectors": tf.gather(features, place), "questions": text}, label

    dataset = tf.data.Dataset.from_tensor_slices((places, texts, wanted))
    shuffled = dataset.shuffle(len(places), seed=seed).batch(batch_size).map(example)
    return trainee.fit(shuffled, epochs=stage.epochs, shuffle=False, verbose=0).history
