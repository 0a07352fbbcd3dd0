"""What the readers of benchmarks return: images, and how they are divided for training and testing."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from keras_cam.data import AnnotatedImages, AnnotationError


@dataclass(frozen=True)
class Split:
    """One run of a benchmark: the names of its training images and of its test images."""

    train: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Attributes:
    """Attributes of images, by the votes of three people.

    Attributes:
        names: the names of A attributes.
        images: the names of N images.
        votes: float (N, A), the fraction of people who see the attribute in the image: 0, 1/3, 2/3 or 1.
    """

    names: tuple[str, ...]
    images: tuple[str, ...]
    votes: np.ndarray

    def split(self, attribute: int, train: int, test: int, seed: int) -> tuple[Split, frozenset[str]]:
        """Chooses images at random, the same number with an attribute as without it.

        An image with at least two votes has the attribute, an image with none does not. Images with one vote
        are not used.

        Args:
            attribute: the index of the attribute.
            train: the number of training images of each kind.
            test: the number of test images of each kind. For a rare attribute both numbers are reduced in
                proportion.
            seed: int, the seed for choosing images.

        Returns:
            The split, and the names of all images with the attribute.

        Examples:
            >>> votes = np.array([[1.0], [2 / 3], [1 / 3], [0.0], [0.0]])
            >>> split, positives = Attributes(("open",), tuple("abcde"), votes).split(0, 1, 1, seed=0)
            >>> sorted(positives), sorted(split.train + split.test)
            (['a', 'b'], ['a', 'b', 'd', 'e'])
        """
        rng, names = np.random.default_rng([seed, attribute]), np.array(self.images, object)
        votes = self.votes[:, attribute]
        kinds = [rng.permutation(names[votes > 0.5]), rng.permutation(names[votes == 0])]
        available = min(map(len, kinds))
        if available < 2:
            raise AnnotationError(
                "Each attribute must have two images with it and two without it. "
                f"Found: {len(kinds[0])} and {len(kinds[1])} of {self.names[attribute]!r}"
            )
        used = min(train + test, available)
        first = min(max(used * train // (train + test), 1), used - 1)
        return Split(
            tuple(np.concatenate([kind[:first] for kind in kinds])),
            tuple(np.concatenate([kind[first:used] for kind in kinds])),
        ), frozenset(kinds[0])


@dataclass(frozen=True)
class Benchmark:
    """A data set and its protocol.

    Attributes:
        title: its name in messages.
        read: the function that reads its layout.
        folders: folders that may contain its images, relative to the folder that the user names.
        train: the number of training images of each class, or with and without each attribute.
        test: likewise of test images; None takes all other images.
        runs: the number of runs, over which figures are averaged.
        lists: folders that may contain its lists of files, if its splits are published.
        files: the names of the lists for training and for testing, with `{run}` for the number of the run and
            `*` for anything.
        excluded: folders that are not classes.
    """

    title: str
    read: Callable[[str, "Benchmark"], "BenchmarkImages"]
    folders: tuple[str, ...]
    train: int
    test: int | None
    runs: int
    lists: tuple[str, ...] = ()
    files: tuple[str, str] = ("", "")
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class BenchmarkImages:
    """The images of a benchmark and its splits.

    Attributes:
        benchmark: its protocol.
        images: all images, with their classes.
        splits: the split of each run; empty if attributes are classified.
        attributes: the attributes; None if classes are classified.
    """

    benchmark: "Benchmark"
    images: AnnotatedImages
    splits: tuple[Split, ...] = ()
    attributes: Attributes | None = None
