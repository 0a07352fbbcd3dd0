"""The model that answers questions about images: the sum of a classifier of images and one of words."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_cam.layers import ClassActivationHead, ClassLabels, ClassSelection, MapDetections
from keras_cam.models.heads import global_pooling
from keras_cam.models.labels import labels_of
from keras_cam.recipes import THRESHOLD


def build_answerer(backbone: keras.Model, texts: Sequence[str], answers: Sequence[str]) -> keras.Model:
    """Build an untrained linear classifier of answers from pooled features and a bag of words.

    Its logits are the sum of those of two nested models: `image_evidence`, a classifier for which
    `keras_cam.build_localizer` can be used, and `word_evidence`. Pooled features are standardized with
    statistics that are set in training.

    Args:
        backbone: from images (B, H, W, 3) to features (B, h, w, C), see
            `keras_cam.applications.features.backbone_of`.
        texts: questions; their words are the vocabulary.
        answers: the N possible answers.

    Returns:
        A `keras.Model` from `images` (B, H, W, 3) and `questions` (B,), strings, to logits (B, N).

    Reference:
        Zhou et al., CVPR 2016, section 4.3. Zhou et al., "Simple Baseline for Visual Question Answering",
        2015.
    """
    [pixels] = backbone.inputs
    images = keras.Input(batch_shape=pixels.shape, dtype=pixels.dtype, name="images")
    features = keras.layers.Identity(name="features")(backbone(images, training=False))
    standardized = keras.layers.BatchNormalization(
        center=False, scale=False, trainable=False, dtype="float32", name="standardized"
    )(global_pooling(features))
    seen = _linear(len(answers), "head", use_bias=False)(standardized)
    image_evidence = keras.Model(images, ClassLabels(answers, name="labels")(seen), name="image_evidence")

    questions = keras.Input((), dtype="string", name="questions")
    bag_of_words = keras.layers.TextVectorization(output_mode="count", name="bag_of_words")
    bag_of_words.adapt(list(texts))
    said = _linear(len(answers), "words", use_bias=True)(bag_of_words(questions))
    word_evidence = keras.Model(questions, said, name="word_evidence")

    # Inputs of a nested model cannot be inputs of the outer model, too.
    inputs = {"images": _like(images), "questions": _like(questions)}
    both = [image_evidence(inputs["images"]), word_evidence(inputs["questions"])]
    return keras.Model(inputs, keras.layers.Add(dtype="float32", name="answers")(both), name="answerer")


def _like(tensor: Any) -> Any:
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)


def _linear(answers: int, name: str, use_bias: bool) -> keras.layers.Dense:
    # Weights of words that no question has stay zero.
    return keras.layers.Dense(
        answers, use_bias=use_bias, kernel_initializer="zeros", dtype="float32", name=name
    )


def build_answer_localizer(
    answerer: keras.Model, top_k: int = 5, threshold: float = THRESHOLD
) -> keras.Model:
    """Build a localizer of answers from an answerer.

    Args:
        answerer: the model of a `keras_cam.applications.discovery.answerer_training.TrainedAnswerer`.
        top_k: the number of answers, best first.
        threshold: see `keras_cam.build_localizer`.

    Returns:
        A `keras.Model` with the inputs of the answerer and the outputs of a localizer. Its classes are the
        answers and its scores depend on image and words. Two more outputs, `image_logits` and `word_logits`
        (B, N), are the contributions of the image and of the words to the logit of each answer, minus their
        mean over all answers. The softmax of their sum is that of the answerer.

    Raises:
        ValueError: if the model is not an answerer.

    Reference:
        Zhou et al., CVPR 2016, section 4.3 and figure 12.
    """
    check_answerer(answerer)
    seen, said = answerer.get_layer("image_evidence"), answerer.get_layer("word_evidence")
    images, questions = _like(seen.inputs[0]), _like(said.inputs[0])
    backbone = keras.Model(seen.inputs, seen.get_layer("features").output, name="backbone")
    classifier = ClassActivationHead(
        [seen.get_layer("standardized"), seen.get_layer("head")], name="class_activation_head"
    )
    features = backbone(images, training=False)
    image_logits, word_logits = (
        logits - ops.mean(logits, axis=-1, keepdims=True)
        for logits in (classifier(features), said(questions))
    )
    logits = ClassLabels(labels_of(answerer) or (), name="labels")(image_logits + word_logits)
    chosen = ClassSelection(top_k=min(top_k, logits.shape[-1]), name="class_selection")(logits)
    scores = keras.layers.Activation("softmax", dtype="float32", name="scores")(logits)
    detections = MapDetections(threshold=threshold, boxes_first=False, name="detections")
    outputs = detections(classifier(features, chosen), chosen, scores, images)
    return keras.Model(
        {"images": images, "questions": questions},
        {**outputs, "image_logits": image_logits, "word_logits": word_logits},
        name="answer_localizer",
    )


def check_answerer(model: keras.Model) -> None:
    """Raise a `ValueError` unless the model is one of `build_answerer`."""
    names = {layer.name for layer in model.layers}
    if not {"image_evidence", "word_evidence"} <= names:
        raise ValueError(
            "`answerer` must be a model from `build_answerer` or `train_answerer`, with the layers "
            f"image_evidence and word_evidence. Received: {model.name} with {sorted(names)[:10]}"
        )
