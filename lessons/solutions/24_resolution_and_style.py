"""Solutions of lesson 24, and the misconceptions that its graders refute."""

import math

import numpy as np


def psnr_of(x, y, low, high):
    return 10 * math.log10((high - low) ** 2 / np.mean((x - y) ** 2))


def wrong_psnr_of(x, y, low, high):
    return 10 * math.log10(
        high**2 / np.mean((x - y) ** 2)
    )  # the largest value instead of the range


def ssim_of(x, y, c1, c2):
    cov = np.cov(x.ravel(), y.ravel())
    luminance = (2 * x.mean() * y.mean() + c1) / (x.mean() ** 2 + y.mean() ** 2 + c1)
    return luminance * (2 * cov[0, 1] + c2) / (cov[0, 0] + cov[1, 1] + c2)


def wrong_ssim_of(x, y, c1, c2):
    cov = np.cov(x.ravel(), y.ravel())
    return (2 * cov[0, 1] + c2) / (cov[0, 0] + cov[1, 1] + c2)  # brightness left out


def stretch_for(v, P):
    return (1 - P) / math.sqrt(v)


def wrong_stretch_for(v, P):
    return (1 - P) / v  # the mean divided by its variance


def restyled(content, style):
    shape = (content - content.mean(axis=0)) / content.std(axis=0)
    return style.std(axis=0) * shape + style.mean(axis=0)


def wrong_restyled(content, style):
    return content - content.mean(axis=0) + style.mean(axis=0)  # brightness alone
