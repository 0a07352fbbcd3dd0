"""Finer feature maps from a trained network: strides are removed and later convolutions dilated."""

from typing import Any, NoReturn

import keras

from keras_cam.graph.keras_internals import calls_to, consumers_of
from keras_cam.layers.dilated_pooling import DilatedPooling2D

_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
_POOLINGS = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)
_UNSUPPORTED = (
    keras.layers.Conv2DTranspose,
    keras.layers.Cropping2D,
    keras.layers.Resizing,
    keras.layers.UpSampling2D,
)


def dilate(model: keras.Model, output_stride: int) -> keras.Model:
    """Limit the output stride of a backbone.

    Strides beyond `output_stride` become 1, and the layers after them are dilated by 2 (4, …), so the weights
    stay valid. Away from the border, every second (fourth, …) position of the finer map has the value of the
    coarse map.

    Args:
        model: a functional backbone of convolutions and poolings, without nested models.
        output_stride: int, image pixels per position of the feature map: 8, 16 or 32, at most the model's
            own stride.

    Returns:
        A new model with the same weights.

    Raises:
        ValueError: `output_stride` is not 8, 16 or 32 or exceeds the model's stride, or the model contains a
            layer that cannot be dilated.

    Reference:
        Chen et al., DeepLab, TPAMI 2018, section 3.1 (atrous convolution).

    Examples: 7x7 maps become 14x14.
        >>> backbone = keras.applications.MobileNetV2((224, 224, 3), include_top=False, weights=None)
        >>> dilate(backbone, 16).output.shape
        (None, 14, 14, 1280)
    """
    options = [8, 16, 32]
    if output_stride in options:
        changes, stride = _plan(model, output_stride)
        options = [option for option in options if option <= stride]
    if output_stride not in options:
        raise ValueError(
            f"`output_stride` must be one of {options}. Received: output_stride={output_stride!r}"
        )
    if output_stride == stride:
        return model

    def rebuild(layer: keras.layers.Layer) -> keras.layers.Layer:
        return (
            changes[layer.name] if layer.name in changes else layer.__class__.from_config(layer.get_config())
        )

    dilated = keras.models.clone_model(model, clone_function=rebuild)
    dilated.set_weights(model.get_weights())
    return dilated


def _plan(model: keras.Model, output_stride: int) -> tuple[dict[str, keras.layers.Layer], int]:
    """The replacement layers, by name of the replaced layer, and the stride of the original model."""
    changes: dict[str, keras.layers.Layer] = {}
    # For each tensor: its stride in the original model, and the dilation that replaces the removed strides.
    state: dict[int, tuple[int, int]] = {}
    for operation in model.operations:
        call = calls_to(operation)[0]
        sources = [state[id(tensor)] for tensor in call.input_tensors]
        stride = max((source[0] for source in sources), default=1)
        dilation = max((source[1] for source in sources), default=1)
        step = _stride(operation)
        removed = stride // dilation * step > output_stride
        if isinstance(operation, _UNSUPPORTED) and stride * 2 > output_stride:
            _refuse(operation)
        if isinstance(operation, keras.layers.ZeroPadding2D):
            replacement = _padding(operation, stride // dilation, dilation, output_stride)
        else:
            replacement = _layer(operation, removed, dilation)
        if replacement is not None:
            changes[operation.name] = replacement
        for tensor in call.outputs:
            state[id(tensor)] = (stride * step, dilation * step if removed else dilation)
    return changes, state[id(model.outputs[0])][0]


def _stride(operation: Any) -> int:
    if not isinstance(operation, _CONVOLUTIONS + _POOLINGS):
        return 1
    strides = operation.strides if isinstance(operation.strides, tuple) else (operation.strides,)
    return strides[0]


def _layer(operation: Any, removed: bool, dilation: int) -> keras.layers.Layer | None:
    """The replacement of a layer with a removed stride or a dilated input; None keeps the layer."""
    if not removed and dilation == 1:
        return None
    if isinstance(operation, _CONVOLUTIONS):
        return type(operation).from_config(
            {**operation.get_config(), "strides": (1, 1), "dilation_rate": (dilation, dilation)}
        )
    if isinstance(operation, _POOLINGS):
        reduction = "max" if isinstance(operation, keras.layers.MaxPooling2D) else "average"
        # With "valid", windows that tile the image would lose the last positions.
        tiles = operation.pool_size == tuple(operation.strides)
        padding = "same" if tiles else operation.padding
        return DilatedPooling2D(operation.pool_size, dilation, reduction, padding, name=operation.name)
    return None


def _padding(
    operation: keras.layers.ZeroPadding2D, stride: int, dilation: int, output_stride: int
) -> keras.layers.Layer | None:
    """The padding that fits the dilated convolution or pooling after it; None keeps the layer."""
    consumer = consumers_of(operation)[0]
    if stride * _stride(consumer) <= output_stride and dilation == 1:
        return None
    if not isinstance(consumer, _CONVOLUTIONS + _POOLINGS):
        _refuse(operation)
    window = consumer.pool_size if isinstance(consumer, _POOLINGS) else consumer.kernel_size
    margins = tuple(((size - 1) // 2 * dilation,) * 2 for size in window)
    return keras.layers.ZeroPadding2D(margins, name=operation.name)


def _refuse(operation: Any) -> NoReturn:
    raise ValueError(
        "`output_stride` needs a network of convolutions and poolings without cropping or resizing. "
        f"Received: layer {operation.name!r} ({type(operation).__name__})"
    )
