from setuptools import setup

# The folders at the top level are the product's parts; installed, two of them live inside the package.
setup(
    package_dir={
        "keras_cam": "keras_cam",
    },
    packages=[
        "keras_cam",
        "keras_cam.data",
        "keras_cam.graph",
        "keras_cam.layers",
        "keras_cam.models",
        "keras_cam.ops",
    ],
    package_data={"keras_cam": ["py.typed"], "keras_cam.models": ["imagenet_labels.txt"]},
)
