from setuptools import setup

setup(
    package_dir={"keras_cam": "keras_cam", "keras_cam.training": "training", "keras_cam.export": "export"},
    # One by one: searching for packages would also find folders that are not the product.
    packages=[
        "keras_cam",
        "keras_cam.applications",
        "keras_cam.applications.discovery",
        "keras_cam.applications.features",
        "keras_cam.cli",
        "keras_cam.cli.commands",
        "keras_cam.data",
        "keras_cam.drawing",
        "keras_cam.evaluation",
        "keras_cam.export",
        "keras_cam.graph",
        "keras_cam.images",
        "keras_cam.inference",
        "keras_cam.layers",
        "keras_cam.map_methods",
        "keras_cam.metrics",
        "keras_cam.models",
        "keras_cam.models.torchvision",
        "keras_cam.ops",
        "keras_cam.training",
        "keras_cam.training.configs",
    ],
    package_data={
        "keras_cam": ["py.typed", "__init__.pyi"],
        "keras_cam.drawing": ["__init__.pyi", "page.html"],
        "keras_cam.evaluation": ["__init__.pyi"],
        "keras_cam.export": ["__init__.pyi", "web_page/*"],
        "keras_cam.inference": ["__init__.pyi"],
        "keras_cam.metrics": ["__init__.pyi"],
        "keras_cam.models": ["*_labels.txt"],
        "keras_cam.training": ["__init__.pyi"],
    },
)
