"""Golden values of the kernel MLP from an independent implementation.

Values are written with NumPy from the formulas of docs/derivations/kernel-mlp.md; gradients come from the
reverse-mode differentiation of the package `autograd`. Run with

    pip install numpy==2.4.6 autograd==1.9.1
    python kernel_mlp.py > kernel_mlp.json

Parameter number j is 0.9 sin(1.7 j + 0.3); the gradient of the loss with respect to the value at position u
is cos(u) + i sin(u).
"""

import itertools
import json
import platform
import sys
from importlib.metadata import version

import autograd.numpy as np
from autograd import grad

GRID = {"height": 3, "width": 4, "in_channels": 2, "out_channels": 3}
POSITIONS = [0, 1, 4, 7, 12, 18, 19, 20, 21, 22, 23, 29, 35, 40, 53]

DEFAULTS = {
    "hidden_width": 3,
    "hidden_layers": 2,
    "omega_frequency": 1.25,
    "omega_channel": 2.5,
    "embedding_dim": 2,
    "basis_size": 2,
}

ACTIVATIONS = {
    "sine": np.sin,
    "relu": lambda z: np.where(z > 0, z, 0.0),
    "tanh": np.tanh,
    "gelu": lambda z: 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
    "gabor": lambda z: np.cos(z) * np.exp(-z * z / 8),
}


def shapes(config):
    """Names and shapes of the parameters, in their order."""
    cin, cout = GRID["in_channels"], GRID["out_channels"]
    kind = config["parameterization"]
    mlps = {"hw": [cin, cout], "hw-cin": [cout]}.get(kind, [])
    axes = {"hw": 0, "hw-cin": 1, "hw-cin-cout": 2, "shared-basis": 0}[kind]
    embedded = config["channel_encoding"] == "embedding"
    sizes = [2 + axes * (config["embedding_dim"] if embedded else 1)]
    sizes += [config["hidden_width"]] * config["hidden_layers"]
    sizes += [2 * config["basis_size"] if kind == "shared-basis" else 2]
    result = []
    for n, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
        result += [(f"w{n}", mlps + [outputs, inputs]), (f"b{n}", mlps + [outputs])]
    if embedded and axes >= 1:
        result.append(("in", [cin, config["embedding_dim"]]))
    if embedded and axes >= 2:
        result.append(("out", [cout, config["embedding_dim"]]))
    if kind == "shared-basis":
        result.append(("c", [cin, cout, config["basis_size"]]))
    return result


def unpack(config, flat):
    parts, start = {}, 0
    for name, shape in shapes(config):
        size = int(np.prod(np.array(shape)))
        parts[name] = np.reshape(flat[start : start + size], shape)
        start += size
    return parts, start


def phi(config, flat, position):
    """(real, imaginary) value at one position."""
    p, _ = unpack(config, flat)
    half_width = GRID["width"] // 2 + 1
    h, w, i, o = (
        int(n)
        for n in np.unravel_index(
            position, (GRID["height"], half_width, GRID["in_channels"], GRID["out_channels"])
        )
    )
    if config["frequency_grid"] == "signed":
        xs = [2 * np.fft.fftfreq(GRID["height"])[h], 2 * np.fft.rfftfreq(GRID["width"])[w]]
        channel = lambda c, n: np.linspace(-1, 1, n)[c]
    else:
        xs = [np.linspace(0, 1, GRID["height"])[h], np.linspace(0, 1, half_width)[w]]
        channel = lambda c, n: np.linspace(0, 1, n)[c]
    multiplied = config["omega_mode"] == "multiplier"
    omega_f = config["omega_frequency"] if multiplied else 1.0
    omega_c = config["omega_channel"] if multiplied else 1.0
    x = [np.array([omega_f * v for v in xs])]

    def push(index, count, name):
        embedded = config["channel_encoding"] == "embedding"
        x.append(omega_c * (p[name][index] if embedded else np.array([channel(index, count)])))

    kind = config["parameterization"]
    if kind in ("hw-cin", "hw-cin-cout"):
        push(i, GRID["in_channels"], "in")
    if kind == "hw-cin-cout":
        push(o, GRID["out_channels"], "out")
    which = {"hw": (i, o), "hw-cin": (o,)}.get(kind, ())
    a = np.concatenate(x)
    for n in range(config["hidden_layers"]):
        a = ACTIVATIONS[config["activation"]](p[f"w{n}"][which] @ a + p[f"b{n}"][which])
    last = config["hidden_layers"]
    y = np.reshape(p[f"w{last}"][which] @ a + p[f"b{last}"][which], (-1, 2))
    if config["complex_output"] == "polar":
        re, im = y[:, 0] * np.cos(y[:, 1]), y[:, 0] * np.sin(y[:, 1])
    else:
        re, im = y[:, 0], y[:, 1]
    mix = p["c"][i, o] if kind == "shared-basis" else np.ones(1)
    return np.sum(mix * re), np.sum(mix * im)


def case(**choices):
    config = {
        **DEFAULTS,
        "omega_mode": "multiplier",
        "frequency_grid": "signed",
        "channel_encoding": "coordinate",
        "complex_output": "cartesian",
        "activation": "sine",
        **choices,
    }
    _, count = unpack(config, np.zeros(100_000))
    flat = 0.9 * np.sin(1.7 * np.arange(count) + 0.3)

    def loss(flat):
        total = 0.0
        for u in POSITIONS:
            re, im = phi(config, flat, u)
            total = total + np.cos(u) * re + np.sin(u) * im
        return total

    values = [[float(v) for v in phi(config, flat, u)] for u in POSITIONS]
    return {"config": config, "values": values, "gradient": [float(g) for g in grad(loss)(flat)]}


def main():
    kinds = ["hw", "hw-cin", "hw-cin-cout", "shared-basis"]
    cases = [
        case(parameterization=kind, activation=activation)
        for kind, activation in itertools.product(kinds, ACTIVATIONS)
    ]
    for kind in kinds:
        cases.append(case(parameterization=kind, complex_output="polar", frequency_grid="unit"))
        cases.append(case(parameterization=kind, omega_mode="folded", hidden_layers=1))
    for kind in ("hw-cin", "hw-cin-cout"):
        cases.append(case(parameterization=kind, channel_encoding="embedding"))
    written_by = {
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "autograd": version("autograd"),
    }
    json.dump({"written_by": written_by, "grid": GRID, "positions": POSITIONS, "cases": cases}, sys.stdout)
    print()


main()
