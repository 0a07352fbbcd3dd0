"""The networks of torchvision as they are there, so that its files fit them.

They differ from those of `keras.applications`: in where they pad, where they stride and what they add to a
variance. A layer with weights has the name that its weights have in torchvision's files, such as
`layer1.0.conv2`; only the classifier is called `head`, as in all networks of the package.
"""
