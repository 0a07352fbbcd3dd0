"""How boxes are made from maps when they are judged, by name."""

PROTOCOLS = {
    "zhou2016": "the paper's rule: the largest component above 20 % of the maximum, for each of five classes",
    "zhou2016_test": "the paper's five boxes: tight and loose for two classes, loose for a third",
    "zhou2016_released": "the largest box of the program that the authors released, for each of five classes",
    "choe2020": "the largest contour at the one threshold that is best on these images, an oracle",
}
"""Whatever the protocol, `max_box_acc` and `max_box_acc_v2` come with it, which are those of choe2020."""
