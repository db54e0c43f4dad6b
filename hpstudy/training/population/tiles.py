"""What the kernels share that train K networks of one shape as one program of a GPU.

They compute 3x3 convolutions of 16 to 64 channels.

A program owns whole images of one network. It writes what a convolution reads once, normalised and
rectified, to a scratch of its own with a border of zeros; the nine taps then read that without a
mask, from a cache. Sums leave each program on their own and are merged in a fixed order, so that a
network's numbers depend neither on the number of networks nor on their neighbours.

Activations are (networks, batch, pixels, channels) in the storage type. Statistics, partial sums
and parameters are in the type of sums. A weight is (3, 4, channels in, channels out): the rows of
the kernel, and their three taps beside a fourth of zeros, which makes a row one product of 64 or
more values. The statistics of all layers lie in arrays of one layout (..., `norms`), in which a
layer has two blocks of its channels: weight and bias, mean and variance, and so on.
"""

import triton
import triton.language as tl


@triton.jit
def place(pixel, side: tl.constexpr, stride: tl.constexpr):
    """Place of a pixel in a scratch with a border, whose pixels are `stride` apart."""
    width: tl.constexpr = side * stride + 2
    return (pixel // side * stride + 1) * width + pixel % side * stride + 1


@triton.jit
def rectified(value):
    """What a ReLU gives, which keeps NaN."""
    return tl.maximum(value, 0.0, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def picture(pixels, views, count, first, image, colour, pixel, SIDE: tl.constexpr,
             STORED: tl.constexpr, PADDING: tl.constexpr, C: tl.constexpr):  # fmt: skip
    """Pixels of one view (see `Batches`), normalised, with zero channels beyond the third."""
    view = views + first + image
    index = tl.load(view).to(tl.int64)
    row = pixel // SIDE + tl.load(view + count) - PADDING
    column = pixel % SIDE
    column = tl.where(tl.load(view + 3 * count) > 0, SIDE - 1 - column, column)
    column += tl.load(view + 2 * count) - PADDING
    inside = (row >= 0) & (row < STORED) & (column >= 0) & (column < STORED)
    c = tl.arange(0, C)
    at = pixels + ((index * 3 + c[None, :]) * STORED + row[:, None]) * STORED + column[:, None]
    value = tl.load(at, mask=inside[:, None] & (c < 3)[None, :], other=0)
    scale, shift = tl.load(colour + c), tl.load(colour + C + c)
    return value.to(scale.dtype) * scale[None, :] + shift[None, :]


@triton.jit
def _merged(part, network, groups, norms, at, count, last, C: tl.constexpr, GROUPS: tl.constexpr):
    """Mean and sum of squared deviations of all parts: Chan et al. (1979), all parts at once.

    Each has `count` values, the last one `last`. One after another, each would wait for memory.
    """
    c, group = tl.arange(0, C)[None, :], tl.arange(0, GROUPS)[:, None]
    there = group < groups
    source = part + (network * groups + group) * norms + at + c
    means = tl.load(source, mask=there, other=0.0)
    number = tl.where(there, tl.where(group == groups - 1, last, count), 0).to(means.dtype)
    mean = tl.sum(number * means, 0) / tl.sum(number, 0)
    gap = means - mean[None, :]
    squares = tl.load(source + C, mask=there, other=0.0) + number * gap * gap
    return mean, tl.sum(squares, 0)


@triton.jit
def normalisation(network, at, norms, stride, weight, part, saved, running, groups, batch, note,
                   PIXELS: tl.constexpr, C: tl.constexpr, CHUNK: tl.constexpr,
                   GROUPS: tl.constexpr, TRAIN: tl.constexpr, EPS: tl.constexpr,
                   MOMENTUM: tl.constexpr):  # fmt: skip
    """Scale and shift of batch normalisation; one program notes the statistics."""
    c = tl.arange(0, C)
    kept = network * norms + at + c
    if TRAIN:
        last = (batch - (groups - 1) * CHUNK) * PIXELS
        mean, squares = _merged(part, network, groups, norms, at, CHUNK * PIXELS, last, C, GROUPS)
        number = (batch * PIXELS).to(mean.dtype)
        variance = squares / number
        deviation = 1 / tl.sqrt(variance + EPS)
        if note:
            tl.store(saved + kept, mean)
            tl.store(saved + kept + C, deviation)
            old, unbiased = tl.load(running + kept), squares / (number - 1)
            tl.store(running + kept, old + MOMENTUM * (mean - old))
            old = tl.load(running + kept + C)
            tl.store(running + kept + C, old + MOMENTUM * (unbiased - old))
    else:
        mean = tl.load(running + kept)
        deviation = 1 / tl.sqrt(tl.load(running + kept + C) + EPS)
    scale = tl.load(weight + network * stride + at + c) * deviation
    shift = tl.load(weight + network * stride + at + C + c) - mean * scale
    return scale, shift


@triton.jit
def saved_normalisation(network, at, norms, stride, weight, saved, C: tl.constexpr):
    """Scale, shift, mean and inverse deviation that the forward pass has noted."""
    c = tl.arange(0, C)
    mean = tl.load(saved + network * norms + at + c)
    deviation = tl.load(saved + network * norms + at + C + c)
    scale = tl.load(weight + network * stride + at + c) * deviation
    return scale, tl.load(weight + network * stride + at + C + c) - mean * scale, mean, deviation


@triton.jit
def activation(y, skip, image, pixel, scale, shift, SIDE: tl.constexpr, C: tl.constexpr,
                SKIP: tl.constexpr):  # fmt: skip
    """Normalised and rectified output of a convolution, after its shortcut if there is one."""
    c = tl.arange(0, C)
    at = (image * SIDE * SIDE + pixel)[:, None] * C + c[None, :]
    value = tl.load(y + at).to(scale.dtype) * scale[None, :] + shift[None, :]
    if SKIP == 1:
        value += tl.load(skip + at).to(scale.dtype)
    if SKIP == 2:
        # Every second pixel of half as many channels, with zero channels on both sides.
        half: tl.constexpr = C // 2
        narrow = c - C // 4
        double = (image * SIDE + pixel // SIDE) * 4 * SIDE + pixel % SIDE * 2
        at = double[:, None] * half + narrow[None, :]
        inside = ((narrow >= 0) & (narrow < half))[None, :]
        value += tl.load(skip + at, mask=inside, other=0).to(scale.dtype)
    return rectified(value)
