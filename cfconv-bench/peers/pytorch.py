"""The measurements of `cfconv-bench`, written as one would write them in PyTorch.

The commands, their options and the fields of the one JSON object that is printed are those of `cfconv-bench`, so
that both can be run in turn and compared:

    python cfconv-bench/peers/pytorch.py layer --positions 262144 --threads 2
    cargo run --release -q -p cfconv-bench -- layer --positions 262144 --threads 2 --json

`--compile` passes the measured function through `torch.compile`.
"""

import argparse
import json
import math
import statistics
import time
import tomllib

import torch
import torch.nn.functional as F
from torch import nn


class SineMlp(nn.Module):
    """The kernel Φ: 4 coordinates → hidden layers of sines → real and imaginary part."""

    def __init__(self, hidden_width, hidden_layers, omega_frequency=10.0, omega_channel=100.0):
        super().__init__()
        widths = [4] + [hidden_width] * hidden_layers + [2]
        self.linears = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))
        omega = torch.tensor([omega_frequency] * 2 + [omega_channel] * 2)
        with torch.no_grad():
            self.linears[0].weight.uniform_(-0.25, 0.25).mul_(omega)
            for linear in self.linears[1:]:
                bound = math.sqrt(6.0 / linear.in_features)
                linear.weight.uniform_(-bound, bound)

    def forward(self, x):
        *hidden, output = self.linears
        for linear in hidden:
            x = torch.sin(linear(x))
        return torch.view_as_complex(output(x))


class CfConv2d(nn.Module):
    """A continuous Fourier convolution with a kernel state [H, W/2 + 1, in_channels, out_channels]."""

    def __init__(self, in_channels, out_channels, height, width, *, positions, hidden_width, hidden_layers,
                 ema_alpha=0.5, lattice=None, bias=True, omega=(10.0, 100.0)):
        super().__init__()
        self.image = (height, width)
        self.lattice = lattice
        self.ema_alpha = ema_alpha
        self.mlp = SineMlp(hidden_width, hidden_layers, *omega)
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        rows, columns = (lattice, lattice) if lattice else (height, width)
        self.shape = (rows, columns // 2 + 1, in_channels, out_channels)
        self.num_positions = math.prod(self.shape)
        self.positions = self.num_positions if lattice else min(positions, self.num_positions)
        signed = lambda n: torch.linspace(-1, 1, n) if n > 1 else torch.zeros(1)
        self.axes = [
            2 * torch.fft.fftfreq(rows),
            2 * torch.fft.rfftfreq(columns).abs(),
            signed(in_channels),
            signed(out_channels),
        ]
        self.register_buffer("state", torch.zeros(self.shape, dtype=torch.complex64))
        with torch.no_grad():
            if not lattice:
                for first in range(0, self.num_positions, 1 << 16):
                    u = torch.arange(first, min(first + (1 << 16), self.num_positions))
                    self.state.view(-1)[u] = self.mlp(self.coordinates(u))
            scale = 1.0 / math.sqrt(in_channels * math.sqrt(self.num_positions / (in_channels * out_channels)))
            self.state.mul_(scale)

    def coordinates(self, u):
        _, columns, cin, cout = self.shape
        o, rest = u % cout, u // cout
        i, rest = rest % cin, rest // cin
        w, h = rest % columns, rest // columns
        return torch.stack([axis[index] for axis, index in zip(self.axes, (h, w, i, o))], dim=1)

    def kernel(self):
        """Refreshes the state at random positions; gradient flows to Φ through these alone."""
        if self.positions == self.num_positions:
            u = torch.arange(self.num_positions)
        else:
            u = torch.randperm(self.num_positions)[: self.positions]
        values = self.mlp(self.coordinates(u))
        if self.lattice:
            return values.view(self.shape)
        old = self.state.view(-1)
        kernel = old.index_put((u,), old[u] + self.ema_alpha * (values - old[u])).view(self.shape)
        self.state = kernel.detach()
        return kernel

    def forward(self, x):
        kernel = self.kernel() if self.training else self.state
        if self.lattice:
            taps = torch.fft.irfft2(kernel.permute(3, 2, 0, 1), s=(self.lattice, self.lattice))
            taps = taps.roll((self.lattice // 2, self.lattice // 2), (2, 3))
            pad = self.lattice // 2
            return F.conv2d(F.pad(x, (pad,) * 4, mode="circular"), taps, self.bias)
        spectrum = torch.fft.rfft2(x)
        mixed = torch.einsum("bihw,hwio->bohw", spectrum, kernel)
        y = torch.fft.irfft2(mixed, s=self.image)
        return y if self.bias is None else y + self.bias[:, None, None]


def network(config, classes=2):
    """A network of a configuration file, with the layer types that the shipped files use."""
    with open(config, "rb") as file:
        config = tomllib.load(file)
    size = config["data"]["size"]
    settings = config["network"]
    kernel, sampler = settings.get("kernel", {}), settings.get("sampler", {})
    layers, channels, extent, flat = [], 3, size, False
    for layer in settings["layers"]:
        kind = layer["type"]
        if kind == "conv":
            k = layer.get("kernel_size", 3)
            layers.append(nn.Conv2d(channels, layer["out_channels"], k, padding=k // 2, bias=layer.get("bias", True)))
            channels = layer["out_channels"]
        elif kind == "cf-conv":
            if kernel.get("parameterization", "hw-cin-cout") != "hw-cin-cout":
                raise SystemExit(f"{kernel['parameterization']}: only hw-cin-cout has a PyTorch counterpart")
            layers.append(CfConv2d(
                channels, layer["out_channels"], extent, extent, positions=sampler["num_positions"],
                hidden_width=kernel["hidden_width"], hidden_layers=kernel["hidden_layers"],
                ema_alpha=settings["ema_alpha"], bias=layer.get("bias", True),
                omega=(kernel["omega_frequency"], kernel["omega_channel"]),
            ))
            channels = layer["out_channels"]
        elif kind == "batch-norm":
            layers.append(nn.BatchNorm2d(channels))
        elif kind == "activation":
            layers.append(nn.ReLU(inplace=True))
        elif kind == "max-pool":
            layers.append(nn.MaxPool2d(2))
            extent //= 2
        elif kind == "global-avg-pool":
            layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        elif kind == "linear":
            layers.append(nn.Linear(channels, classes))
        else:
            raise SystemExit(f"{kind}: no PyTorch counterpart")
    return nn.Sequential(*layers), size, config


def bench_fft(args):
    x = torch.randn(args.batch, args.in_channels, args.height, args.width)
    step = lambda: torch.fft.irfft2(torch.fft.rfft2(x), s=(args.height, args.width))
    return step, {"planes": args.batch * args.in_channels}


def layer_of(args):
    return CfConv2d(
        args.in_channels, args.out_channels, args.height, args.width,
        positions=2**40 if args.positions == "all" else int(args.positions), lattice=args.lattice,
        hidden_width=args.hidden_width, hidden_layers=args.hidden_layers, ema_alpha=args.ema_alpha,
    )


def bench_layer(args):
    layer = layer_of(args).train()
    x = torch.randn(args.batch, args.in_channels, args.height, args.width, requires_grad=True)
    grad_output = torch.randn(args.batch, args.out_channels, args.height, args.width)
    apply = torch.compile(layer) if args.compile else layer

    def step():
        x.grad = None
        layer.zero_grad(set_to_none=True)
        apply(x).backward(grad_output)

    parameters = sum(p.numel() for p in layer.parameters())
    return step, {"positions": layer.positions, "parameters": parameters}


def bench_conv3x3(args):
    conv = nn.Conv2d(args.in_channels, args.out_channels, args.kernel_size, padding=args.kernel_size // 2, bias=False)
    x = torch.randn(args.batch, args.in_channels, args.height, args.width, requires_grad=True)
    grad_output = torch.randn(args.batch, args.out_channels, args.height, args.width)

    def step():
        x.grad = None
        conv.weight.grad = None
        conv(x).backward(grad_output)

    return step, {"kernel_size": args.kernel_size}


def bench_net(args):
    model, size, config = network(args.config, args.classes)
    batch = args.batch_of_net or config["train"]["batch_size"]
    images = torch.randn(batch, 3, size, size)
    labels = torch.arange(batch) % args.classes
    settings = config["optimizer"]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings["learning_rate"], weight_decay=settings["weight_decay"])
    apply = torch.compile(model) if args.compile else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(apply(images), labels).backward()
        optimizer.step()

    return step, {"batch": batch, "size": size, "parameters": sum(p.numel() for p in model.parameters())}


def bench_infer(args):
    if args.config:
        model, size, _ = network(args.config, args.classes)
        x = torch.randn(args.batch, 3, size, size)
    else:
        model = layer_of(args)
        x = torch.randn(args.batch, args.in_channels, args.height, args.width)
    model.eval()
    apply = torch.compile(model) if args.compile else model

    def step():
        with torch.inference_mode():
            apply(x)

    return step, {"batch": args.batch, "subject": "network" if args.config else "layer"}


def bench_sgemm(args):
    a, b = torch.randn(args.size, args.size), torch.randn(args.size, args.size)
    return lambda: a @ b, {"size": args.size}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name, *, batch=True):
        sub = commands.add_parser(name)
        if batch:
            sub.add_argument("--batch", type=int, default=32)
        for size, default in dict(in_channels=32, out_channels=32, height=64, width=64).items():
            sub.add_argument("--" + size.replace("_", "-"), type=int, default=default)
        for option, default in dict(threads=0, steps=7, warmup=2, classes=2).items():
            sub.add_argument("--" + option, type=int, default=default)
        sub.add_argument("--compile", action="store_true")
        return sub

    def kernel(sub):
        sub.add_argument("--positions", default="262144")
        sub.add_argument("--lattice", type=int)
        sub.add_argument("--hidden-width", type=int, default=64)
        sub.add_argument("--hidden-layers", type=int, default=2)
        sub.add_argument("--ema-alpha", type=float, default=0.5)

    command("fft")
    kernel(command("layer"))
    command("conv3x3").add_argument("--kernel-size", type=int, default=3)
    net = command("net", batch=False)
    net.add_argument("--config", required=True)
    net.add_argument("--batch", dest="batch_of_net", type=int)
    infer = command("infer")
    kernel(infer)
    infer.add_argument("--config")
    command("sgemm").add_argument("--size", type=int, default=1024)
    return parser.parse_args()


def main():
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    step, report = globals()["bench_" + args.command](args)
    seconds = []
    for number in range(args.warmup + args.steps):
        start = time.perf_counter()
        step()
        if number >= args.warmup:
            seconds.append(time.perf_counter() - start)
    report |= {
        "median_s": statistics.median(seconds),
        "min_s": min(seconds),
        "steps": args.steps,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
