"""The backward pass, and the update of the parameters."""

import triton
import triton.language as tl

from hpstudy.training.population.tiles import (
    activation,
    picture,
    place,
    saved_normalisation,
)


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
                           PIXELS: tl.constexpr, C: tl.constexpr,
                           GROUPS: tl.constexpr):  # fmt: skip
    """Factors a, b, c of the gradient before a normalisation, z x a + y x b + c."""
    c, group = tl.arange(0, C)[None, :], tl.arange(0, GROUPS)[:, None]
    # All parts at once: one after another, each would wait for memory.
    source = z_part + (network * groups + group) * norms + own + c
    products = tl.sum(tl.load(source, mask=group < groups, other=0.0), 0)
    total = tl.sum(tl.load(source + C, mask=group < groups, other=0.0), 0)
    sums = z_part.dtype.element_ty
    number = (batch * PIXELS).to(sums)
    scale, _, mean, deviation = saved_normalisation(network, own, norms, stride, weight, saved, C)
    b = -scale * deviation * (products / number)
    return scale, b, -scale * (total / number) - mean * b


@triton.jit
def backward_images(active, batch, z, y, z_part, weight, stride, saved, norms, own, below, kernel,
                    kernels, scratch, below_y, output, skip_z, below_z,
                    SIDE: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr, STRIDE: tl.constexpr,
                    SKIP: tl.constexpr, CHUNK: tl.constexpr, GROUPS: tl.constexpr,
                    BLOCK: tl.constexpr):  # fmt: skip
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
                                            groups, batch, OUT * OUT, CO, GROUPS)  # fmt: skip
    scale, shift, mean, deviation = saved_normalisation(
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
            bordered = place(pixel, OUT, STRIDE)[:, None] * CO + co[None, :]
            tl.store(scratch + bordered, value.to(store))
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
                    CHUNK: tl.constexpr, GROUPS: tl.constexpr,
                    BLOCK: tl.constexpr):  # fmt: skip
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
                                            CO, GROUPS)  # fmt: skip
    if STEM:
        first = tl.load(position)
    elif not PLAIN:
        scale, shift, _, _ = saved_normalisation(network, below, norms, stride, weight, saved, CI)
    tile0, tile1 = tl.zeros((SPAN, CO), sums), tl.zeros((SPAN, CO), sums)
    tile2 = tl.zeros((SPAN, CO), sums)
    for number in range(tl.minimum(CHUNK, batch - group * CHUNK)):
        in_batch = group * CHUNK + number
        image = network * batch + in_batch
        for start in range(0, SIDE * SIDE, BLOCK):
            pixel = start + m
            if STEM:
                value = picture(pixels, views + network * views_stride, count, first, in_batch,
                                 colour, pixel, SIDE, STORED, PADDING, CI)  # fmt: skip
            elif PLAIN:
                value = tl.load(source + (image * SIDE * SIDE + pixel)[:, None] * CI + ci[None, :])
            else:
                value = activation(source, source, image, pixel, scale, shift, SIDE, CI, 0)
            bordered = place(pixel, SIDE, 1)[:, None] * CI + ci[None, :]
            tl.store(scratch + bordered, value.to(store))
        tl.debug_barrier()
        for start in range(0, OUT * OUT, BLOCK):
            pixel = start + m
            at = (image * OUT * OUT + pixel)[:, None] * CO + co[None, :]
            step = tl.load(z + at).to(sums) * a[None, :]
            step += tl.load(y + at).to(sums) * b[None, :] + constant[None, :]
            step = step.to(store)
            corner = pixel // OUT * STRIDE * WIDTH + pixel % OUT * STRIDE
            if BY_ROW:
                patch = scratch + (corner + mine * WIDTH)[:, None] * CI + span[None, :]
                further = CI
            else:
                patch = scratch + corner[:, None] * CI + span[None, :]
                further = WIDTH * CI
            tile0 = tl.dot(tl.trans(tl.load(patch)), step, tile0, input_precision="ieee",
                           out_dtype=sums)  # fmt: skip
            tile1 = tl.dot(tl.trans(tl.load(patch + further)), step, tile1, input_precision="ieee",
                           out_dtype=sums)  # fmt: skip
            tile2 = tl.dot(tl.trans(tl.load(patch + 2 * further)), step, tile2,
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
