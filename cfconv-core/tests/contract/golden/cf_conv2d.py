"""Golden values of the continuous Fourier convolution, by PyTorch's FFTs, convolutions and autograd.

Writes cf_conv2d.json beside itself. Written with Python 3.11, PyTorch 2.15.0 (CPU), NumPy 2.4.6:

    python -m venv venv && venv/bin/pip install torch==2.15.0 numpy==2.4.6
    venv/bin/python cf_conv2d.py

Nothing here is shared with the Rust code: kernels by torch.fft on padded images, lattice kernels by
torch.nn.functional.conv2d, gradients by autograd, random positions by a ChaCha8 of its own (RFC 8439 with
eight rounds and a 64-bit counter).
"""

import json
import pathlib

import torch

torch.set_default_dtype(torch.float64)
MASK = 0xFFFFFFFF


def chacha8_words(key_words):
    """The 32-bit outputs of ChaCha8 with counter and nonce zero at the start."""

    def rotate(x, bits):
        return ((x << bits) | (x >> (32 - bits))) & MASK

    def quarter(state, a, b, c, d):
        for first, second, third, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[first] = (state[first] + state[second]) & MASK
            state[third] = rotate(state[third] ^ state[first], bits)

    constants = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574]
    counter = 0
    while True:
        start = constants + key_words + [counter & MASK, counter >> 32, 0, 0]
        state = list(start)
        for _ in range(4):
            for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)):
                quarter(state, a, b, c, d)
            for a, b, c, d in ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
                quarter(state, a, b, c, d)
        yield from ((x + y) & MASK for x, y in zip(state, start))
        counter += 1


def stratified_positions(population, count, run_seed, layer, step):
    """One position of each stratum; key: run seed, purpose 1, layer, step as 64-bit words."""
    key = [word for value in (run_seed, 1, layer, step) for word in (value & MASK, value >> 32)]
    words = chacha8_words(key)
    positions = []
    for stratum in range(count):
        start, end = stratum * population // count, (stratum + 1) * population // count
        bound = end - start
        product = next(words) * bound
        while (product & MASK) < (2**32 - bound) % bound:
            product = next(words) * bound
        positions.append(start + (product >> 32))
    return positions


def coordinates(height, width, in_channels, out_channels):
    """[H, Wr, Cin, Cout, 4]: twice the signed frequencies; channels spread over [-1, 1]."""

    def channels(count):
        return torch.linspace(-1, 1, count) if count > 1 else torch.zeros(1)

    rows = 2 * torch.fft.fftfreq(height)
    rows = torch.where(torch.arange(height) * 2 == height, -1.0, rows)
    columns = 2 * torch.fft.rfftfreq(width)
    axes = torch.meshgrid(rows, columns, channels(in_channels), channels(out_channels), indexing="ij")
    return torch.stack(axes, dim=-1)


def network(params, x, hidden, scale):
    """Sine network 4 -> hidden -> hidden -> 2, weights [out, in] and biases in order."""
    at = 0
    sizes = [(4, hidden), (hidden, hidden), (hidden, 2)]
    for index, (inputs, outputs) in enumerate(sizes):
        weight = params[at : at + inputs * outputs].reshape(outputs, inputs)
        at += inputs * outputs
        bias = params[at : at + outputs]
        at += outputs
        x = x @ weight.T + bias
        if index < 2:
            x = torch.sin(x)
    return scale * torch.complex(x[..., 0], x[..., 1]), params[at:]


def case(name, config, batch, hidden=6, torus=None, lattice=None, form=None, count=None, alpha=1.0):
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    uniform = lambda *shape: torch.rand(*shape, generator=generator) - 0.5
    cin, cout, height, width = (config[k] for k in ("in_channels", "out_channels", "height", "width"))
    grid = (lattice, lattice) if lattice else torus
    shape = (grid[0], grid[1] // 2 + 1, cin, cout)
    num_params = 4 * hidden + hidden + hidden * hidden + hidden + 2 * hidden + 2 + cout
    params = (2 * uniform(num_params)).requires_grad_()
    x = uniform(batch, cin, height, width).requires_grad_()
    grad_output = uniform(batch, cout, height, width)
    state = torch.complex(uniform(*shape), uniform(*shape))
    scale = 0.75

    phi, bias = network(params, coordinates(*grid, cin, cout), hidden, scale)
    positions = None
    if count is None:
        kernel = state + alpha * (phi - state)
    else:
        population = phi.numel()
        positions = stratified_positions(population, count, 11, 3, 1)
        visited = torch.zeros(population).index_fill(0, torch.tensor(positions), 1.0).reshape(shape)
        kernel = state + alpha * visited * (phi - state)

    if lattice:
        taps = torch.fft.irfft2(kernel, s=grid, dim=(0, 1))
        centred = torch.roll(taps, (lattice // 2, lattice // 2), dims=(0, 1))
        # conv2d is cross-correlation: mirrored taps, [Cout, Cin, k, k].
        weight = centred.flip(0, 1).permute(3, 2, 0, 1)
        mode = "circular" if config["padding"] == "circular" else "constant"
        radius = lattice // 2
        y = torch.nn.functional.conv2d(torch.nn.functional.pad(x, (radius,) * 4, mode=mode), weight, bias)
    else:
        spectrum = torch.fft.rfft2(x, s=torus)
        mixed = torch.einsum("bihw,hwio->bohw", spectrum, kernel)
        y = torch.fft.irfft2(mixed, s=torus)[..., :height, :width] + bias[:, None, None]
    (y * grad_output).sum().backward()

    flat = lambda tensor: tensor.detach().reshape(-1).tolist()
    return {
        "name": name,
        "config": config,
        "batch": batch,
        "params": flat(params),
        "output_scale": scale,
        "state_re": flat(state.real),
        "state_im": flat(state.imag),
        "positions": positions,
        "input": flat(x),
        "grad_output": flat(grad_output),
        "output": flat(y),
        "grad_input": flat(x.grad),
        "grad_params": flat(params.grad),
    }


def config(height, width, padding, sampler, **rest):
    sizes = {"in_channels": 2, "out_channels": 3, "height": height, "width": width}
    return {**sizes, "padding": padding, "mlp": {"hidden_width": 6}, "sampler": sampler, **rest}


def main():
    everything, lattice = {"kind": "all"}, {"kind": "lattice", "size": 3}
    strata = {"kind": "stratified", "num_positions": 20}
    cases = [
        case("circular-even", config(4, 6, "circular", everything), 2, torus=(4, 6)),
        case("circular-odd", config(3, 5, "circular", everything), 1, torus=(3, 5)),
        # 2*3 - 1 = 5 rows; 2*4 - 1 = 7 columns, the next product of 2, 3 and 5 is 8.
        case("zeros", config(3, 4, "zeros", everything), 2, torus=(5, 8)),
        case("sampled", config(4, 6, "circular", strata, ema_alpha=0.5), 2, torus=(4, 6), count=20, alpha=0.5),
        case("lattice-circular", config(5, 4, "circular", lattice), 2, lattice=3),
        case("lattice-zeros", config(4, 5, "zeros", lattice, ema_alpha=0.25), 2, lattice=3, alpha=0.25),
    ]
    path = pathlib.Path(__file__).with_suffix(".json")
    document = {"written_by": f"cf_conv2d.py, PyTorch {torch.__version__}", "cases": cases}
    path.write_text(json.dumps(document, indent=None, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
