"""Kernels that train K networks of one shape as one program: 3x3 convolutions of 16 to 64 channels.

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
def _place(pixel, side: tl.constexpr, stride: tl.constexpr):
    """Place of a pixel in a scratch with a border, whose pixels are `stride` apart."""
    width: tl.constexpr = side * stride + 2
    return (pixel // side * stride + 1) * width + pixel % side * stride + 1


@triton.jit
def _rectified(value):
    return tl.maximum(value, 0.0, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def _picture(pixels, views, count, first, image, colour, pixel, SIDE: tl.constexpr,
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
def _merged(part, network, groups, norms, at, count, last, C: tl.constexpr):
    """Mean and sum of squared deviations of `groups` parts, in order: Chan et al. (1979)."""
    c = tl.arange(0, C)
    sums = part.dtype.element_ty
    mean, squares = tl.zeros((C,), sums), tl.zeros((C,), sums)
    seen = last * 0
    for group in range(groups):
        source = part + (network * groups + group) * norms + at + c
        more = tl.where(group == groups - 1, last, count)
        both = (seen + more).to(sums)
        gap = tl.load(source) - mean
        mean += gap * (more.to(sums) / both)
        squares += tl.load(source + C) + gap * gap * (seen.to(sums) * more.to(sums) / both)
        seen += more
    return mean, squares


@triton.jit
def _normalisation(network, at, norms, stride, weight, part, saved, running, groups, batch, note,
                   PIXELS: tl.constexpr, C: tl.constexpr, CHUNK: tl.constexpr, TRAIN: tl.constexpr,
                   EPS: tl.constexpr, MOMENTUM: tl.constexpr):  # fmt: skip
    """Scale and shift of batch normalisation; one program notes the statistics."""
    c = tl.arange(0, C)
    kept = network * norms + at + c
    if TRAIN:
        last = (batch - (groups - 1) * CHUNK) * PIXELS
        mean, squares = _merged(part, network, groups, norms, at, CHUNK * PIXELS, last, C)
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
def _saved_normalisation(network, at, norms, stride, weight, saved, C: tl.constexpr):
    """Scale, shift, mean and inverse deviation that the forward pass has noted."""
    c = tl.arange(0, C)
    mean = tl.load(saved + network * norms + at + c)
    deviation = tl.load(saved + network * norms + at + C + c)
    scale = tl.load(weight + network * stride + at + c) * deviation
    return scale, tl.load(weight + network * stride + at + C + c) - mean * scale, mean, deviation


@triton.jit
def _activation(y, skip, image, pixel, scale, shift, SIDE: tl.constexpr, C: tl.constexpr,
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
    return _rectified(value)


@triton.jit
def forward(active, batch,
            pixels, views, views_stride, count, position, colour,
            below_y, skip, output,
            weight, stride, part, saved, running, norms, below, own,
            kernel, kernels, scratch, y,
            SIDE: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr, STRIDE: tl.constexpr,
            STEM: tl.constexpr, STORED: tl.constexpr, PADDING: tl.constexpr, SKIP: tl.constexpr,
            KEEP: tl.constexpr, TRAIN: tl.constexpr, CHUNK: tl.constexpr, BLOCK: tl.constexpr,
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
        scale, shift = _normalisation(network, below, norms, stride, weight, part, saved, running,
                                      groups, batch, group == 0, SIDE * SIDE, CI, CHUNK, TRAIN,
                                      EPS, MOMENTUM)  # fmt: skip
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
                value = _picture(pixels, views + network * views_stride, count, first, in_batch,
                                 colour, pixel, SIDE, STORED, PADDING, CI)  # fmt: skip
            else:
                value = _activation(below_y, skip, image, pixel, scale, shift, SIDE, CI, SKIP)
            value = value.to(store)
            if KEEP:
                at = (image * SIDE * SIDE + pixel)[:, None] * CI + ci[None, :]
                tl.store(output + at, value)
            tl.store(scratch + _place(pixel, SIDE, 1)[:, None] * CI + ci[None, :], value)
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
        tl.store(at + CO, _rectified(rest))


@triton.jit
def pool(active, batch, y, skip, output, weight, stride, part, saved, running, norms, below, pooled,
         SIDE: tl.constexpr, C: tl.constexpr, SKIP: tl.constexpr, TRAIN: tl.constexpr,
         CHUNK: tl.constexpr, BLOCK: tl.constexpr, EPS: tl.constexpr,
         MOMENTUM: tl.constexpr):  # fmt: skip
    """Output of the last block, and its mean over the pixels, (networks, batch, channels)."""
    program, groups = tl.program_id(0), tl.cdiv(batch, CHUNK)
    network, group = program // groups, program % groups
    if tl.load(active + network) == 0:
        return
    sums = part.dtype.element_ty
    c, m = tl.arange(0, C), tl.arange(0, BLOCK)
    scale, shift = _normalisation(network, below, norms, stride, weight, part, saved, running,
                                  groups, batch, group == 0, SIDE * SIDE, C, CHUNK, TRAIN, EPS,
                                  MOMENTUM)  # fmt: skip
    for number in range(tl.minimum(CHUNK, batch - group * CHUNK)):
        image = network * batch + group * CHUNK + number
        total = tl.zeros((C,), sums)
        for start in range(0, SIDE * SIDE, BLOCK):
            pixel = start + m
            value = _activation(y, skip, image, pixel, scale, shift, SIDE, C, SKIP)
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


@triton.jit
def backward_pool(active, batch, pooled_gradient, output, y, saved, norms, own, z, z_part,
                  SIDE: tl.constexpr, C: tl.constexpr, CHUNK: tl.constexpr,
                  BLOCK: tl.constexpr):  # fmt: skip
    """Gradient `z` after the last normalisation, and its sums: of z x normalised, and of z."""
    program, groups = tl.program_id(0), tl.cdiv(batch, CHUNK)
    network, group = program // groups, program % groups
    if tl.load(active + network) == 0:
        return
    sums = z_part.dtype.element_ty
    c, m = tl.arange(0, C), tl.arange(0, BLOCK)
    mean = tl.load(saved + network * norms + own + c)
    deviation = tl.load(saved + network * norms + own + C + c)
    total, products = tl.zeros((BLOCK, C), sums), tl.zeros((BLOCK, C), sums)
    for number in range(tl.minimum(CHUNK, batch - group * CHUNK)):
        image = network * batch + group * CHUNK + number
        step = tl.load(pooled_gradient + image * C + c) / (SIDE * SIDE)
        for start in range(0, SIDE * SIDE, BLOCK):
            at = (image * SIDE * SIDE + start + m)[:, None] * C + c[None, :]
            rectified = tl.load(output + at).to(sums) <= 0
            value = tl.where(rectified, 0.0, step[None, :]).to(z.dtype.element_ty)
            tl.store(z + at, value)
            value = value.to(sums)
            total += value
            products += value * ((tl.load(y + at).to(sums) - mean[None, :]) * deviation[None, :])
    at = z_part + program * norms + own + c
    tl.store(at, tl.sum(products, 0))
    tl.store(at + C, tl.sum(total, 0))


@triton.jit
def _through_normalisation(network, own, norms, stride, weight, saved, z_part, groups, batch,
                           PIXELS: tl.constexpr, C: tl.constexpr):  # fmt: skip
    """Factors a, b, c of the gradient before a normalisation, z x a + y x b + c."""
    c = tl.arange(0, C)
    sums = z_part.dtype.element_ty
    products, total = tl.zeros((C,), sums), tl.zeros((C,), sums)
    for group in range(groups):
        source = z_part + (network * groups + group) * norms + own + c
        products += tl.load(source)
        total += tl.load(source + C)
    number = (batch * PIXELS).to(sums)
    scale, _, mean, deviation = _saved_normalisation(network, own, norms, stride, weight, saved, C)
    b = -scale * deviation * (products / number)
    return scale, b, -scale * (total / number) - mean * b


@triton.jit
def backward_images(active, batch, z, y, z_part, weight, stride, saved, norms, own, below, kernel,
                    kernels, scratch, below_y, output, skip_z, below_z,
                    SIDE: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr, STRIDE: tl.constexpr,
                    SKIP: tl.constexpr, CHUNK: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Gradient after the normalisation below a convolution, from that after its own, and its sums.

    Where a shortcut begins below, its gradient is added.
    """
    program, groups = tl.program_id(0), tl.cdiv(batch, CHUNK)
    network, group = program // groups, program % groups
    if tl.load(active + network) == 0:
        return
    OUT: tl.constexpr = SIDE // STRIDE
    WIDTH: tl.constexpr = SIDE + 2
    sums = z_part.dtype.element_ty
    store = z.dtype.element_ty
    ci, co = tl.arange(0, CI), tl.arange(0, CO)
    m = tl.arange(0, BLOCK)
    scratch += program.to(tl.int64) * (WIDTH * WIDTH + 1) * CO
    kernel += network * kernels
    a, b, constant = _through_normalisation(network, own, norms, stride, weight, saved, z_part,
                                            groups, batch, OUT * OUT, CO)  # fmt: skip
    scale, shift, mean, deviation = _saved_normalisation(
        network, below, norms, stride, weight, saved, CI
    )
    total, products = tl.zeros((BLOCK, CI), sums), tl.zeros((BLOCK, CI), sums)
    for number in range(tl.minimum(CHUNK, batch - group * CHUNK)):
        image = network * batch + group * CHUNK + number
        for start in range(0, OUT * OUT, BLOCK):
            pixel = start + m
            at = (image * OUT * OUT + pixel)[:, None] * CO + co[None, :]
            value = tl.load(z + at).to(sums) * a[None, :]
            value += tl.load(y + at).to(sums) * b[None, :] + constant[None, :]
            place = _place(pixel, OUT, STRIDE)[:, None] * CO + co[None, :]
            tl.store(scratch + place, value.to(store))
        tl.debug_barrier()
        for start in range(0, SIDE * SIDE, BLOCK):
            pixel = start + m
            corner = (pixel // SIDE + 2) * WIDTH + pixel % SIDE + 2
            product = tl.zeros((BLOCK, CI), sums)
            for tap in tl.static_range(9):
                row, column = tap // 3, tap % 3
                x = tl.load(scratch + (corner - row * WIDTH - column)[:, None] * CO + co[None, :])
                from_ = (row * 4 + column) * CI + ci
                w = tl.trans(tl.load(kernel + from_[:, None] * CO + co[None, :]))
                product = tl.dot(x, w, product, input_precision="ieee", out_dtype=sums)
            at = (image * SIDE * SIDE + pixel)[:, None] * CI + ci[None, :]
            raw = tl.load(below_y + at).to(sums)
            if SKIP == 0:
                rectified = raw * scale[None, :] + shift[None, :] <= 0
            else:
                rectified = tl.load(output + at).to(sums) <= 0
            if SKIP == 1:
                product += tl.load(skip_z + at).to(sums)
            if SKIP == 2:
                row, column = pixel // SIDE, pixel % SIDE
                even = (row % 2 == 0) & (column % 2 == 0)
                half = (image * OUT + row // 2) * OUT + column // 2
                source = skip_z + half[:, None] * (2 * CI) + (ci + CI // 2)[None, :]
                product += tl.load(source, mask=even[:, None], other=0.0).to(sums)
            value = tl.where(rectified, 0.0, product).to(store)
            tl.store(below_z + at, value)
            value = value.to(sums)
            total += value
            products += value * ((raw - mean[None, :]) * deviation[None, :])
        tl.debug_barrier()
    at = z_part + program * norms + below + ci
    tl.store(at, tl.sum(products, 0))
    tl.store(at + CI, tl.sum(total, 0))


@triton.jit
def backward_kernel(active, batch,
                    pixels, views, views_stride, count, position, colour,
                    source, z, y, z_part, weight, stride, saved, norms, own, below,
                    scratch, gradient, gradients,
                    SIDE: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr, STRIDE: tl.constexpr,
                    STEM: tl.constexpr, STORED: tl.constexpr, PADDING: tl.constexpr,
                    PLAIN: tl.constexpr, BY_ROW: tl.constexpr, NORM_CHUNK: tl.constexpr,
                    CHUNK: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Gradient of a convolution's weight, a part for each program.

    A program has three tiles in registers: whole rows of the kernel or, if `BY_ROW`, the taps of
    its own row. `PLAIN` says that the convolution reads the output of a block, as it was kept.
    """
    program, groups = tl.program_id(0), tl.cdiv(batch, CHUNK)
    network, group = program // groups, program % groups
    if tl.load(active + network) == 0:
        return
    OUT: tl.constexpr = SIDE // STRIDE
    WIDTH: tl.constexpr = SIDE + 2
    SPAN: tl.constexpr = CI if BY_ROW else 4 * CI
    sums = z_part.dtype.element_ty
    store = z.dtype.element_ty
    ci, co, m = tl.arange(0, CI), tl.arange(0, CO), tl.arange(0, BLOCK)
    span = tl.arange(0, SPAN)
    mine = tl.program_id(1)
    scratch += (mine * tl.num_programs(0) + program).to(tl.int64) * (WIDTH * WIDTH + 1) * CI
    a, b, constant = _through_normalisation(network, own, norms, stride, weight, saved, z_part,
                                            tl.cdiv(batch, NORM_CHUNK), batch, OUT * OUT,
                                            CO)  # fmt: skip
    if STEM:
        first = tl.load(position)
    elif not PLAIN:
        scale, shift, _, _ = _saved_normalisation(network, below, norms, stride, weight, saved, CI)
    tile0, tile1 = tl.zeros((SPAN, CO), sums), tl.zeros((SPAN, CO), sums)
    tile2 = tl.zeros((SPAN, CO), sums)
    for number in range(tl.minimum(CHUNK, batch - group * CHUNK)):
        in_batch = group * CHUNK + number
        image = network * batch + in_batch
        for start in range(0, SIDE * SIDE, BLOCK):
            pixel = start + m
            if STEM:
                value = _picture(pixels, views + network * views_stride, count, first, in_batch,
                                 colour, pixel, SIDE, STORED, PADDING, CI)  # fmt: skip
            elif PLAIN:
                value = tl.load(source + (image * SIDE * SIDE + pixel)[:, None] * CI + ci[None, :])
            else:
                value = _activation(source, source, image, pixel, scale, shift, SIDE, CI, 0)
            place = _place(pixel, SIDE, 1)[:, None] * CI + ci[None, :]
            tl.store(scratch + place, value.to(store))
        tl.debug_barrier()
        for start in range(0, OUT * OUT, BLOCK):
            pixel = start + m
            at = (image * OUT * OUT + pixel)[:, None] * CO + co[None, :]
            step = tl.load(z + at).to(sums) * a[None, :]
            step += tl.load(y + at).to(sums) * b[None, :] + constant[None, :]
            step = step.to(store)
            corner = pixel // OUT * STRIDE * WIDTH + pixel % OUT * STRIDE
            if BY_ROW:
                place = scratch + (corner + mine * WIDTH)[:, None] * CI + span[None, :]
                next_: tl.constexpr = CI
            else:
                place = scratch + corner[:, None] * CI + span[None, :]
                next_: tl.constexpr = WIDTH * CI
            tile0 = tl.dot(tl.trans(tl.load(place)), step, tile0, input_precision="ieee",
                           out_dtype=sums)  # fmt: skip
            tile1 = tl.dot(tl.trans(tl.load(place + next_)), step, tile1, input_precision="ieee",
                           out_dtype=sums)  # fmt: skip
            tile2 = tl.dot(tl.trans(tl.load(place + 2 * next_)), step, tile2,
                           input_precision="ieee", out_dtype=sums)  # fmt: skip
        tl.debug_barrier()
    gradient += program.to(tl.int64) * gradients + span[:, None] * CO + co[None, :]
    if BY_ROW:
        gradient += mine * 4 * CI * CO
    # The fourth tap of a row is none.
    tap = (span < 3 * CI)[:, None]
    tl.store(gradient, tile0, mask=tap)
    tl.store(gradient + SPAN * CO, tile1, mask=tap)
    tl.store(gradient + 2 * SPAN * CO, tile2, mask=tap)


@triton.jit
def update(active, parameters, stored, momenta, stride, start, gradient, groups, size, lr, decay,
           MOMENTUM: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """SGD with momentum and coupled decay on a range of the parameters, and their stored copy."""
    network = tl.program_id(0)
    if tl.load(active + network) == 0:
        return
    number = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    there = number < size
    at = network * stride + start + number
    total = tl.zeros((BLOCK,), gradient.dtype.element_ty)
    for group in range(groups):
        source = gradient + (network * groups + group).to(tl.int64) * size
        total += tl.load(source + number, mask=there, other=0.0)
    value = tl.load(parameters + at, mask=there, other=0.0)
    momentum = tl.load(momenta + at, mask=there, other=0.0) * MOMENTUM
    momentum += total + tl.load(decay + network) * value
    value -= tl.load(lr + network) * momentum
    tl.store(momenta + at, momentum, mask=there)
    tl.store(parameters + at, value, mask=there)
    tl.store(stored + at, value.to(stored.dtype.element_ty), mask=there)
