from setuptools import setup

setup(
    package_dir={"keras_cam": "keras_cam", "keras_cam.training": "training", "keras_cam.export": "export"},
    # One by one: searching for packages would also find folders that are not the product.
    packages=[
        "keras_cam",
        "keras_cam.commands",
        "keras_cam.data",
        "keras_cam.discovery",
        "keras_cam.features",
        "keras_cam.export",
        "keras_cam.graph",
        "keras_cam.layers",
        "keras_cam.metrics",
        "keras_cam.models",
        "keras_cam.ops",
        "keras_cam.training",
        "keras_cam.training.configs",
    ],
    package_data={
        "keras_cam": ["py.typed", "results_page.html"],
        "keras_cam.export": ["web/*"],
        "keras_cam.metrics": ["__init__.pyi"],
        "keras_cam.models": ["imagenet_labels.txt"],
    },
)
