"""Analysis and rewriting of Keras graphs: finding a model's classifier, dilation for finer maps."""

import keras  # noqa: F401  before any module here starts, as it loads some of them: see `_registration`
