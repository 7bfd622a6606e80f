"""What an action gives back."""

from collections import namedtuple

_Result = namedtuple("_Result", "changed data diff")


class Result(_Result):
    """The outcome of an action.

    args:
        changed (bool): the device is (in check mode: would be) different from before
        data (dict): what JSON can carry
        diff ((before, after) or None): short texts for people
    """

    __slots__ = ()

    def __new__(cls, changed=False, data=None, diff=None):
        return super(Result, cls).__new__(cls, changed, {} if data is None else data, diff)
