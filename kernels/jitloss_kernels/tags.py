"""Tags of the losses: types without content, by which a kernel picks its row function when it is compiled.

Unlike a function passed as an argument, a tag keeps the compiled code on disk valid from one process to the next.
"""

from typing import NamedTuple


class Svm(NamedTuple):
    """The Weston–Watkins SVM."""


class Softmax(NamedTuple):
    """The softmax cross entropy."""


TAGS = {"svm": Svm(), "softmax": Softmax()}
