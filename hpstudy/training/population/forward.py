"""The forward pass, and the head with its loss."""

import triton
import triton.language as tl

from hpstudy.training.population.tiles import (
    activation,
    normalisation,
    picture,
    place,
    rectified,
)


@triton.jit
def forward(active, batch,
            pixels, views, views_stride, count, position, colour,
            below_y, skip, output,
            weight, stride, part, saved, running, norms, below, own,
            kernel, kernels, scratch, y,
            SIDE: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr, STRIDE: tl.constexpr,
            STEM: tl.constexpr, STORED: tl.constexpr, PADDING: tl.constexpr, SKIP: tl.constexpr,
            KEEP: tl.constexpr, TRAIN: tl.constexpr, CHUNK: tl.constexpr, GROUPS: tl.constexpr,
            BLOCK: tl.constexpr,
            EPS: tl.constexpr, MOMENTUM: tl.constexpr):  # fmt: skip
    """Convolution of what `below` normalises, and the statistics of its own output."""
    program, groups = tl.program_id(0), tl.cdiv(batch, CHUNK)
    network, group = program // groups, program % groups
    if tl.load(active + network) == 0:
        return
    OUT: tl.constexpr = SIDE // STRIDE
    PIXELS: tl.constexpr = OUT * OUT
    WIDTH: tl.constexpr = SIDE + 2
    sums = part.dtype.element_ty
    store = y.dtype.element_ty
    ci, co, m = tl.arange(0, CI), tl.arange(0, CO), tl.arange(0, BLOCK)
    wide = tl.arange(0, 4 * CI)
    scratch += program.to(tl.int64) * (WIDTH * WIDTH + 1) * CI
    kernel += network * kernels
    if not STEM:
        scale, shift = normalisation(network, below, norms, stride, weight, part, saved, running,
                                      groups, batch, group == 0, SIDE * SIDE, CI, CHUNK, GROUPS,
                                      TRAIN, EPS, MOMENTUM)  # fmt: skip
    else:
        first = tl.load(position)
    if TRAIN:
        # Deviations from a value near the mean: squares of large values would cancel.
        pivot = tl.load(running + network * norms + own + co)
        total, squares = tl.zeros((BLOCK, CO), sums), tl.zeros((BLOCK, CO), sums)
    images = tl.minimum(CHUNK, batch - group * CHUNK)
    for number in range(images):
        in_batch = group * CHUNK + number
        image = network * batch + in_batch
        for start in range(0, SIDE * SIDE, BLOCK):
            pixel = start + m
            if STEM:
                value = picture(pixels, views + network * views_stride, count, first, in_batch,
                                 colour, pixel, SIDE, STORED, PADDING, CI)  # fmt: skip
            else:
                value = activation(below_y, skip, image, pixel, scale, shift, SIDE, CI, SKIP)
            value = value.to(store)
            if KEEP:
                at = (image * SIDE * SIDE + pixel)[:, None] * CI + ci[None, :]
                tl.store(output + at, value)
            tl.store(scratch + place(pixel, SIDE, 1)[:, None] * CI + ci[None, :], value)
        tl.debug_barrier()
        for start in range(0, PIXELS, BLOCK):
            pixel = start + m
            corner = pixel // OUT * STRIDE * WIDTH + pixel % OUT * STRIDE
            product = tl.zeros((BLOCK, CO), sums)
            for row in tl.static_range(3):
                at = (corner + row * WIDTH)[:, None] * CI
                if CI == 16:
                    w = tl.load(kernel + (row * 4 * CI + wide)[:, None] * CO + co[None, :])
                    x = tl.load(scratch + at + wide[None, :])
                    product = tl.dot(x, w, product, input_precision="ieee", out_dtype=sums)
                else:
                    for tap in tl.static_range(3):
                        from_ = (row * 4 + tap) * CI + ci
                        w = tl.load(kernel + from_[:, None] * CO + co[None, :])
                        x = tl.load(scratch + at + (tap * CI + ci)[None, :])
                        product = tl.dot(x, w, product, input_precision="ieee", out_dtype=sums)
            value = product.to(store)
            tl.store(y + (image * PIXELS + pixel)[:, None] * CO + co[None, :], value)
            if TRAIN:
                gap = value.to(sums) - pivot[None, :]
                total += gap
                squares += gap * gap
        tl.debug_barrier()
    if TRAIN:
        number = (images * PIXELS).to(sums)
        gap = tl.sum(total, 0) / number
        at = part + program * norms + own + co
        tl.store(at, pivot + gap)
        rest = tl.sum(squares, 0) - number * gap * gap
        tl.store(at + CO, rectified(rest))


@triton.jit
def pool(active, batch, y, skip, output, weight, stride, part, saved, running, norms, below, pooled,
         SIDE: tl.constexpr, C: tl.constexpr, SKIP: tl.constexpr, TRAIN: tl.constexpr,
         CHUNK: tl.constexpr, GROUPS: tl.constexpr, BLOCK: tl.constexpr, EPS: tl.constexpr,
         MOMENTUM: tl.constexpr):  # fmt: skip
    """Output of the last block, and its mean over the pixels, (networks, batch, channels)."""
    program, groups = tl.program_id(0), tl.cdiv(batch, CHUNK)
    network, group = program // groups, program % groups
    if tl.load(active + network) == 0:
        return
    sums = part.dtype.element_ty
    c, m = tl.arange(0, C), tl.arange(0, BLOCK)
    scale, shift = normalisation(network, below, norms, stride, weight, part, saved, running,
                                  groups, batch, group == 0, SIDE * SIDE, C, CHUNK, GROUPS, TRAIN,
                                  EPS, MOMENTUM)  # fmt: skip
    for number in range(tl.minimum(CHUNK, batch - group * CHUNK)):
        image = network * batch + group * CHUNK + number
        total = tl.zeros((C,), sums)
        for start in range(0, SIDE * SIDE, BLOCK):
            pixel = start + m
            value = activation(y, skip, image, pixel, scale, shift, SIDE, C, SKIP)
            value = value.to(output.dtype.element_ty)
            at = (image * SIDE * SIDE + pixel)[:, None] * C + c[None, :]
            tl.store(output + at, value)
            total += tl.sum(value.to(sums), 0)
        tl.store(pooled + image * C + c, total / (SIDE * SIDE))


@triton.jit
def head(active, batch, labels, views, views_stride, position, pooled, weight, stride,
         gradient, pooled_gradient, loss, totals, classes,
         C: tl.constexpr, CLASSES: tl.constexpr, TRAIN: tl.constexpr,
         BLOCK: tl.constexpr):  # fmt: skip
    """Linear layer and cross-entropy: their gradients, or top-1, top-5 and the sum of the loss."""
    network = tl.program_id(0)
    if tl.load(active + network) == 0:
        return
    sums = pooled.dtype.element_ty
    c, o, m = tl.arange(0, C), tl.arange(0, CLASSES), tl.arange(0, BLOCK)
    first = tl.load(position)
    weight += network * stride
    w = tl.load(weight + c[:, None] * CLASSES + o[None, :])
    bias = tl.load(weight + C * CLASSES + o)
    w_gradient, bias_gradient = tl.zeros((C, CLASSES), sums), tl.zeros((CLASSES,), sums)
    total, right, near = (
        tl.zeros((BLOCK,), sums),
        tl.zeros((BLOCK,), sums),
        tl.zeros((BLOCK,), sums),
    )
    for start in range(0, batch, BLOCK):
        number = start + m
        there = number < batch
        index = tl.load(views + network * views_stride + first + number, mask=there, other=0)
        label = tl.load(labels + index, mask=there, other=0)
        at = (network * batch + number)[:, None] * C + c[None, :]
        x = tl.load(pooled + at, mask=there[:, None], other=0.0)
        logits = tl.dot(x, w, input_precision="ieee", out_dtype=sums) + bias[None, :]
        logits = tl.where((o < classes)[None, :], logits, -float("inf"))
        own = o[None, :] == label[:, None]
        of_label = tl.sum(tl.where(own, logits, 0.0), 1)
        most = tl.max(logits, 1)
        powers = tl.exp(logits - most[:, None])
        power = tl.sum(powers, 1)
        total += tl.where(there, tl.log(power) + most - of_label, 0.0)
        if TRAIN:
            step = (powers / power[:, None] - tl.where(own, 1.0, 0.0)) / batch
            step = tl.where(there[:, None], step, 0.0).to(sums)
            w_gradient = tl.dot(tl.trans(x), step, w_gradient, input_precision="ieee",
                                out_dtype=sums)  # fmt: skip
            bias_gradient += tl.sum(step, 0)
            back = tl.dot(step, tl.trans(w), input_precision="ieee", out_dtype=sums)
            tl.store(pooled_gradient + at, back, mask=there[:, None])
        else:
            # Of equal logits, that of the first class ranks first.
            before = (logits == of_label[:, None]) & (o[None, :] < label[:, None])
            rank = tl.sum(((logits > of_label[:, None]) | before).to(tl.int32), 1)
            finite = (tl.abs(logits) < float("inf")) | (o >= classes)[None, :]
            valid = there & (tl.sum(finite.to(tl.int32), 1) == CLASSES)
            right += tl.where(valid & (rank == 0), 1.0, 0.0).to(sums)
            near += tl.where(valid & (rank < 5), 1.0, 0.0).to(sums)
    totals += network * 3
    if TRAIN:
        gradient += network * (C + 1) * CLASSES
        tl.store(gradient + c[:, None] * CLASSES + o[None, :], w_gradient)
        tl.store(gradient + C * CLASSES + o, bias_gradient)
        tl.store(loss + network, tl.sum(total, 0) / batch)
        tl.store(totals, tl.load(totals) + tl.sum(total, 0).to(tl.float64))
    else:
        tl.store(totals, tl.load(totals) + tl.sum(right, 0).to(tl.float64))
        tl.store(totals + 1, tl.load(totals + 1) + tl.sum(near, 0).to(tl.float64))
        tl.store(totals + 2, tl.load(totals + 2) + tl.sum(total, 0).to(tl.float64))
