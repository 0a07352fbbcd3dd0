"""Caffe files of the published architectures with random weights, written field by field."""

from itertools import pairwise

import numpy as np

# Writing a NetParameter: the field numbers are those of caffe.proto.


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number, content):
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def blob(values, old=False):
    """A BlobProto: with a shape, or with the four sizes that everything had before."""
    if old:
        sizes = (1, 1, 1, *values.shape)[-4:] if values.ndim < 4 else values.shape
        shape = b"".join(field(number, size) for number, size in enumerate(sizes, start=1))
    else:
        shape = field(7, field(1, b"".join(map(varint, values.shape))))
    return shape + field(5, values.astype("<f4").tobytes())


def layer(name, blobs=(), old=False):
    """The field of a network that holds a V1LayerParameter (old) or a LayerParameter."""
    where, name_number, blobs_number = (2, 4, 6) if old else (100, 1, 7)
    parts = [field(name_number, name.encode()), *(field(blobs_number, blob(each, old)) for each in blobs)]
    return field(where, b"".join(parts))


def caffemodel(blobs, old=False):
    """A network: its layers with weights, and some without."""
    layers = [layer("data", old=old)]
    for name, values in blobs.items():
        layers += [layer(name, values, old), layer(f"relu/{name}", old=old)]
    return field(1, b"CaffeNet") + b"".join(layers)


# The published deploy files, as rows: name, kind, inputs, and what the kind needs.


def conv(name, inputs, filters, size, stride=1, pad=0, group=1):
    return (
        name,
        "conv",
        inputs,
        {"filters": filters, "size": size, "stride": stride, "pad": pad, "group": group},
    )


def pool(name, inputs, size=3, stride=2, pad=0):
    return name, "pool", inputs, {"size": size, "stride": stride, "pad": pad}


def norm(name, inputs):
    return name, "norm", inputs, {}


def ends(features, classifier, classes):
    return [("CAM_pool", "mean", features, {}), (classifier, "dense", "CAM_pool", {"units": classes})]


INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def inception(block, x, filters):
    name = f"inception_{block}"
    return [
        conv(f"{name}/1x1", x, filters[0], 1),
        conv(f"{name}/3x3_reduce", x, filters[1], 1),
        conv(f"{name}/3x3", f"{name}/3x3_reduce", filters[2], 3, pad=1),
        conv(f"{name}/5x5_reduce", x, filters[3], 1),
        conv(f"{name}/5x5", f"{name}/5x5_reduce", filters[4], 5, pad=2),
        pool(f"{name}/pool", x, stride=1, pad=1),
        conv(f"{name}/pool_proj", f"{name}/pool", filters[5], 1),
        (f"{name}/output", "concat", [f"{name}/{part}" for part in ("1x1", "3x3", "5x5", "pool_proj")], {}),
    ]


def googlenet(last):
    rows = [
        conv("conv1/7x7_s2", "data", 64, 7, stride=2, pad=3),
        pool("pool1/3x3_s2", "conv1/7x7_s2"),
        norm("pool1/norm1", "pool1/3x3_s2"),
        conv("conv2/3x3_reduce", "pool1/norm1", 64, 1),
        conv("conv2/3x3", "conv2/3x3_reduce", 192, 3, pad=1),
        norm("conv2/norm2", "conv2/3x3"),
        pool("pool2/3x3_s2", "conv2/norm2"),
    ]
    x = "pool2/3x3_s2"
    for block, filters in INCEPTIONS.items():
        if block in ("4a", "5a"):
            rows.append(pool(f"pool{3 if block == '4a' else 4}/3x3_s2", x))
            x = rows[-1][0]
        rows += inception(block, x, filters)
        x = f"inception_{block}/output"
        if block == last:
            return rows, x


def googlenet_cam(classes):
    rows, x = googlenet("4e")
    return [*rows, conv("CAM_conv", x, 1024, 3, pad=1, group=2), *ends("CAM_conv", "CAM_fc", classes)]


def original_googlenet(classes):
    rows, x = googlenet("5b")
    return [*rows, *ends(x, "loss3/classifier", classes)]


def vgg16_convolutions():
    rows, x = [], "data"
    for block, (count, filters) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], start=1):
        for index in range(1, count + 1):
            rows.append(conv(f"conv{block}_{index}", x, filters, 3, pad=1))
            x = rows[-1][0]
        rows.append(pool(f"pool{block}", x, size=2))
        x = rows[-1][0]
    return rows


def vgg16_cam(classes):
    rows = vgg16_convolutions()[:-1]
    return [*rows, conv("CAM_conv", "conv5_3", 1024, 3, pad=1, group=2), *ends("CAM_conv", "CAM_fc", classes)]


def alexnet_convolutions(pool_first, conv5):
    rows, x = [], "data"
    for index, row in enumerate([(96, 11, 4, 0, 1), (256, 5, 1, 2, 2)], start=1):
        rows.append(conv(f"conv{index}", x, *row))
        between = [norm, pool] if not pool_first else [pool, norm]
        for make in between:
            rows.append(make(f"{make.__name__}{index}", rows[-1][0]))
        x = rows[-1][0]
    return [
        *rows,
        conv("conv3", x, 384, 3, pad=1),
        conv("conv4", "conv3", 384, 3, pad=1, group=2),
        conv("conv5", "conv4", conv5, 3, pad=1, group=2),
    ]


def alexnet_plus_cam(classes):
    return [
        *alexnet_convolutions(True, 384),
        pool("pool5", "conv5", stride=1),
        conv("conv6", "pool5", 512, 3, pad=1, group=2),
        conv("conv7", "conv6", 512, 3, pad=1, group=2),
        *ends("conv7", "fc9", classes),
    ]


def fully_connected(classes):
    units = {"fc6": 4096, "fc7": 4096, "fc8": classes}
    return [(name, "dense", x, {"units": units[name], "relu": name != "fc8"})
            for x, name in pairwise(["pool5", *units])]  # fmt: skip


def alexnet(classes):
    return [*alexnet_convolutions(False, 256), pool("pool5", "conv5"), *fully_connected(classes)]


def nin(classes):
    rows, x = [], "data"
    blocks = [(96, 11, 4, 0), (256, 5, 1, 2), (384, 3, 1, 1)]
    for index, (filters, size, stride, pad) in enumerate(blocks, start=1):
        rows.append(conv(f"conv{index}", x, filters, size, stride, pad))
        rows.append(conv(f"cccp{2 * index - 1}", rows[-1][0], filters, 1))
        rows.append(conv(f"cccp{2 * index}", rows[-1][0], filters, 1))
        rows.append(pool(f"pool{index}", rows[-1][0]))
        x = rows[-1][0]
    return [
        *rows,
        conv("conv4-1024", x, 1024, 3, pad=1),
        conv("cccp7-1024", "conv4-1024", 1024, 1),
        conv("cccp8-1024", "cccp7-1024", classes, 1),
        ("CAM_pool", "mean", "cccp8-1024", {}),
    ]


def random_blobs(rows, image_size, seed=0):
    """Kernel and bias of every layer with weights, scaled so that activations keep their size."""
    rng, shapes, blobs = np.random.default_rng(seed), {"data": (3, image_size)}, {}
    for name, kind, inputs, how in rows:
        channels, size = (sum(shapes[x][0] for x in inputs), 0) if kind == "concat" else shapes[inputs]
        if kind == "concat":
            size = shapes[inputs[0]][1]
        if kind in ("conv", "pool"):
            over = size + 2 * how["pad"] - how["size"]
            size = (-(-over // how["stride"]) if kind == "pool" else over // how["stride"]) + 1
        if kind == "mean":
            size = 1
        if kind == "conv":
            shape = (how["filters"], channels // how["group"], how["size"], how["size"])
        elif kind == "dense":
            shape = (how["units"], channels * size * size)
            size = 1
        if kind in ("conv", "dense"):
            kernel = rng.standard_normal(shape, "float32") * np.sqrt(2 / np.prod(shape[1:]), dtype="float32")
            blobs[name] = [kernel, rng.standard_normal(shape[0], "float32") * np.float32(0.1)]
            channels = shape[0]
        shapes[name] = channels, size
    return blobs
