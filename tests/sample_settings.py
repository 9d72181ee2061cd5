"""What a loss in another file reads: see test_reach.py."""

import types

beta = 1.0
cfg = {"a": 1.0}
ns = types.SimpleNamespace(beta=1.0)
hidden = 1.0


def f(v):
    return v * hidden


class K:
    def __init__(s):
        s.v = 1.0

    @staticmethod
    def f(v):
        return v * hidden

    def g(s, v):
        return v * s.v


k = K()
