"""What an action gives back."""

from collections import namedtuple

_Result = namedtuple("_Result", "changed data diff")


class Result(_Result):
    """The outcome of an action.

    args:
        changed (bool): the device is (in check mode: would be) different from before
        data (dict): what JSON can carry
        diff (dict, (before, after) or None): texts for people: `before` and `after`, and where they need a title
            `before_header` and `after_header`; a pair becomes such a dict
    """

    __slots__ = ()

    def __new__(cls, changed=False, data=None, diff=None):
        if diff is not None and not isinstance(diff, dict):
            before, after = diff
            diff = {"before": before, "after": after}
        return super(Result, cls).__new__(cls, changed, {} if data is None else data, diff)
