"""Analysis and rewriting of Keras graphs: finding a model's classifier, dilation for finer maps."""
