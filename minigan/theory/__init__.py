"""The mathematics of GANs as pure functions, on arrays or tensors.

Given arrays (or lists), a function computes in float64 and returns arrays or numbers; given a tensor, it returns tensors that
can be differentiated, to every order. Logarithms are natural: entropies and divergences are in nats.
"""
