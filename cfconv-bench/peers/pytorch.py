"""The measurements of `cfconv-bench`, written as one would write them in PyTorch.

The commands, their options and the fields of the one JSON object that is printed are those of `cfconv-bench`, so
that both can be run in turn and compared:

    python cfconv-bench/peers/pytorch.py layer --positions 262144 --threads 2
    cargo run --release -q -p cfconv-bench -- layer --positions 262144 --threads 2 --json

`--device cuda` measures on the first graphics card: operands lie there beforehand, and the clock is read when the card
has done everything, before and after each step. `--tf32` lets products use TF32. `--compile` passes the measured
function through `torch.compile`; it compiles in the warm-up, which must then be at least one step.

`--check FILE` measures nothing: on the CPU it takes the operands that `cfconv-bench` wrote with the same options and
`--dump FILE`, computes outputs and gradients from them in single and in double precision, and prints the relative
distance ‖theirs − ours‖/‖ours‖ of each tensor, with the larger of the two.

`peak_scratch_mib` is the growth of the process in the steps, less output and gradients; of a network, the growth from
before it was made. On a graphics card it is what PyTorch's allocator held at most in the steps, less what it held before.
"""

import argparse
import contextlib
import json
import math
import statistics
import struct
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

    def names(self):
        """Names of the parameters in `cfconv` and the parameters, of which the last two carry the output scale."""
        last = len(self.linears) - 1
        for index, linear in enumerate(self.linears):
            name = "output" if index == last else f"layer{index}"
            yield f"mlp.{name}.weight", linear.weight
            yield f"mlp.{name}.bias", linear.bias


def padded_size(extent, share):
    """The least product of 2, 3 and 5 that holds an extent and a share of it in zeros, as far as taps can reach."""
    size = min(math.ceil(extent * (1 + share)), 2 * extent - 1)
    while math.gcd(size, 30**10) != size:
        size += 1
    return size


class CfConv2d(nn.Module):
    """A continuous Fourier convolution with a kernel state [H, W/2 + 1, in_channels, out_channels] of the torus, which
    is the image, or with `zeros`, a share of it, the image and zeros behind."""

    def __init__(self, in_channels, out_channels, height, width, *, positions, hidden_width, hidden_layers,
                 ema_alpha=0.5, lattice=None, bias=True, omega=(10.0, 100.0), zeros=None):
        super().__init__()
        self.image = (height, width)
        self.lattice, self.zeros = lattice, zeros
        if zeros is not None:
            height, width = padded_size(height, zeros), padded_size(width, zeros)
        self.torus = (height, width)
        self.ema_alpha = ema_alpha
        self.mlp = SineMlp(hidden_width, hidden_layers, *omega)
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        rows, columns = (lattice, lattice) if lattice else (height, width)
        self.shape = (rows, columns // 2 + 1, in_channels, out_channels)
        self.num_positions = math.prod(self.shape)
        if lattice:
            positions = self.num_positions
        elif callable(positions):
            positions = positions(self.num_positions)
        self.positions = min(positions, self.num_positions)
        signed = lambda n: torch.linspace(-1, 1, n) if n > 1 else torch.zeros(1)
        self.axes = [
            2 * torch.fft.fftfreq(rows),
            2 * torch.fft.rfftfreq(columns).abs(),
            signed(in_channels),
            signed(out_channels),
        ]
        # Noise: evaluating Φ everywhere takes long, and no time depends on the values.
        scale = 1.0 / math.sqrt(in_channels * rows * columns)
        self.register_buffer("state", torch.view_as_complex(scale * torch.randn(*self.shape, 2)))
        self.visited = None  # positions to visit in place of random ones

    def coordinates(self, u):
        _, columns, cin, cout = self.shape
        o, rest = u % cout, u // cout
        i, rest = rest % cin, rest // cin
        w, h = rest % columns, rest // columns
        return torch.stack([axis[index] for axis, index in zip(self.axes, (h, w, i, o))], dim=1)

    def kernel(self):
        """Refreshes the state at random positions; gradient flows to Φ through these alone."""
        old = self.state.view(-1)
        if self.positions == self.num_positions:
            values = self.mlp(self.coordinates(torch.arange(self.num_positions, device=old.device)))
            kernel = values if self.ema_alpha == 1 else old + self.ema_alpha * (values - old)
        else:
            u = self.visited
            if u is None:
                u = torch.randperm(self.num_positions, device=old.device)[: self.positions]
            values = self.mlp(self.coordinates(u))
            kernel = old.index_put((u,), old[u] + self.ema_alpha * (values - old[u]))
        kernel = kernel.view(self.shape)
        self.state = kernel.detach()
        return kernel

    def forward(self, x):
        kernel = self.kernel() if self.training else self.state
        if self.lattice:
            taps = torch.fft.irfft2(kernel.permute(3, 2, 0, 1), s=(self.lattice, self.lattice))
            pad = self.lattice // 2
            # conv2d correlates: the tap of offset r is the weight of −r.
            taps = taps.flip((2, 3)).roll((pad + 1, pad + 1), (2, 3))
            border = "circular" if self.zeros is None else "constant"
            return F.conv2d(F.pad(x, (pad,) * 4, mode=border), taps, self.bias)
        spectrum = torch.fft.rfft2(x, s=self.torus)
        mixed = torch.einsum("bihw,hwio->bohw", spectrum, kernel)
        y = torch.fft.irfft2(mixed, s=self.torus)[..., : self.image[0], : self.image[1]]
        return y if self.bias is None else y + self.bias[:, None, None]


def sampled(sampler):
    """Lattice and number of positions of a sampler: a number, a share, or a function of the number of all."""
    kind = sampler.get("kind", "uniform")
    if kind not in ("uniform", "all", "lattice"):
        raise SystemExit(f"sampler {kind}: no PyTorch counterpart")
    positions = "all" if kind == "all" else sampler.get("num_positions", "auto")
    if isinstance(positions, float):
        share, positions = positions, lambda n: max(round(share * n), 1)
    words = {"all": 2**40, "auto": lambda n: round(3.8 * n**0.849)}
    return sampler["size"] if kind == "lattice" else None, words.get(positions, positions)


def refuse_others(layer, known, where):
    """A setting that would be ignored is an error."""
    for key in layer:
        if key not in ("type", *known):
            raise SystemExit(f"{where}.{key}: no PyTorch counterpart")


def set_key(config, setting):
    """Sets a key of a configuration, given as network.sampler.num_positions=4096."""
    key, value = setting.split("=", 1)
    *tables, last = key.split(".")
    for table in tables:
        config = config.setdefault(table, {})
    config[last] = tomllib.loads(f"value = {value}")["value"]


def network(config, classes=2, overrides=()):
    """A network of a configuration file, with the layer types that the shipped files use."""
    with open(config, "rb") as file:
        config = tomllib.load(file)
    for override in overrides:
        set_key(config, override)
    size = config["data"]["size"]
    settings = config["network"]
    refuse_others(settings, ("kernel", "sampler", "layers", "ema_alpha", "padding", "padding_share"), "network")
    kernel = settings.get("kernel", {})
    known = ("parameterization", "hidden_width", "hidden_layers", "activation", "omega_frequency", "omega_channel")
    refuse_others(kernel, known, "network.kernel")
    if kernel.get("activation", "sine") != "sine":
        raise SystemExit(f"network.kernel.activation {kernel['activation']}: no PyTorch counterpart")
    lattice, positions = sampled(settings.get("sampler", {}))
    zeros = settings.get("padding_share", 1.0) if settings.get("padding", "circular") == "zeros" else None
    known = {
        "conv": ("out_channels", "kernel_size", "bias"), "cf-conv": ("out_channels", "bias"), "linear": (),
    }
    layers, channels, extent = [], 3, size
    for number, layer in enumerate(settings["layers"]):
        kind = layer["type"]
        refuse_others(layer, known.get(kind, ()), f"network.layers[{number}]")
        if kind == "conv":
            k = layer.get("kernel_size", 3)
            layers.append(nn.Conv2d(channels, layer["out_channels"], k, padding=k // 2, bias=layer.get("bias", True)))
            channels = layer["out_channels"]
        elif kind == "cf-conv":
            if kernel.get("parameterization", "hw-cin-cout") != "hw-cin-cout":
                raise SystemExit(f"{kernel['parameterization']}: only hw-cin-cout has a PyTorch counterpart")
            layers.append(CfConv2d(
                channels, layer["out_channels"], extent, extent, positions=positions, lattice=lattice, zeros=zeros,
                hidden_width=kernel["hidden_width"], hidden_layers=kernel["hidden_layers"],
                ema_alpha=settings.get("ema_alpha", 1.0), bias=layer.get("bias", True),
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
            layers.append(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
        elif kind == "linear":
            layers.append(nn.Linear(channels, classes))
        else:
            raise SystemExit(f"{kind}: no PyTorch counterpart")
    # Modules have the numbers that layers have in the file.
    return nn.Sequential(*layers), size, config


def bench_fft(args):
    x = torch.randn(args.batch, args.in_channels, args.height, args.width)
    step = lambda: torch.fft.irfft2(torch.fft.rfft2(x), s=(args.height, args.width))
    return step, {"planes": args.batch * args.in_channels}


def check_fft(args, ours):
    spectrum = torch.fft.rfft2(ours("input"))
    return {"spectrum": spectrum, "output": torch.fft.irfft2(spectrum, s=(args.height, args.width))}


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
    results = 4 * (x.numel() + grad_output.numel() + parameters)
    return step, {"positions": layer.positions, "parameters": parameters, "results_mib": results / 2**20}


def load_layer(layer, ours, prefix="", state="state_before", scale="output_scale"):
    """Takes over parameters and state; the fixed scale of the kernel is multiplied into its last layer."""
    scale = ours(scale).item()
    with torch.no_grad():
        for name, parameter in layer.mlp.names():
            parameter.copy_(ours(prefix + name) * (scale if name.startswith("mlp.output") else 1.0))
        if layer.bias is not None:
            layer.bias.copy_(ours(prefix + "bias"))
        layer.state = ours.complex(state).reshape(layer.shape)
    return scale


def layer_grads(layer, scale, prefix=""):
    grads = {
        f"grad.{prefix}{name}": parameter.grad * (scale if name.startswith("mlp.output") else 1.0)
        for name, parameter in layer.mlp.names()
    }
    if layer.bias is not None:
        grads[f"grad.{prefix}bias"] = layer.bias.grad
    return grads


def check_layer(args, ours):
    layer = layer_of(args).train()
    scale = load_layer(layer, ours)
    layer.visited = ours.get("positions")
    x = ours.images("input").requires_grad_()
    output = layer(x)
    output.backward(ours.images("grad_output"))
    results = {"output": output, "grad.input": x.grad, "state_after": layer.state}
    return results | layer_grads(layer, scale)


def conv_of(args):
    return nn.Conv2d(
        args.in_channels, args.out_channels, args.kernel_size, padding=args.kernel_size // 2, bias=False,
        padding_mode="circular" if args.circular else "zeros",
    )


def bench_conv3x3(args):
    conv = conv_of(args)
    x = torch.randn(args.batch, args.in_channels, args.height, args.width, requires_grad=True)
    grad_output = torch.randn(args.batch, args.out_channels, args.height, args.width)

    def step():
        x.grad = None
        conv.weight.grad = None
        conv(x).backward(grad_output)

    return step, {"kernel_size": args.kernel_size}


def check_conv3x3(args, ours):
    conv = conv_of(args)
    with torch.no_grad():
        conv.weight.copy_(ours("weight"))
    x = ours.images("input").requires_grad_()
    output = conv(x)
    output.backward(ours.images("grad_output"))
    return {"output": output, "grad.input": x.grad, "grad.weight": conv.weight.grad}


def bench_net(args):
    model, size, config = network(args.config, args.classes, args.set)
    batch = args.batch_of_net or config["train"]["batch_size"]
    images = torch.randn(batch, 3, size, size)
    labels = torch.arange(batch) % args.classes
    settings = config["optimizer"]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings["learning_rate"], weight_decay=settings["weight_decay"])
    apply = torch.compile(model) if args.compile else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(apply(images), labels, label_smoothing=config["train"].get("label_smoothing", 0.0)).backward()
        optimizer.step()

    parameters = sum(p.numel() for p in model.parameters())
    return step, {"batch": batch, "size": size, "parameters": parameters, "results_mib": 0.0}


def load_network(model, ours):
    """Takes over parameters and states; returns the CF-Conv layers with their scales by number."""
    scales = {}
    with torch.no_grad():
        for number, layer in model.named_children():
            name = f"layers.{number}"
            if isinstance(layer, CfConv2d):
                state, scale = f"before.{name}.kernel_state", f"before.{name}.output_scale"
                scales[number] = load_layer(layer, ours, name + ".", state, scale)
                layer.visited = ours.get(f"{name}.positions")
                continue
            for parameter_name, parameter in layer.named_parameters():
                parameter.copy_(ours(f"{name}.{parameter_name}"))
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.copy_(ours(f"before.{name}.running_mean"))
                layer.running_var.copy_(ours(f"before.{name}.running_var"))
    return scales


def check_net(args, ours):
    model, _, config = network(args.config, args.classes, args.set)
    scales = load_network(model.train(), ours)
    smoothing = config["train"].get("label_smoothing", 0.0)
    logits = model(ours.images("input"))
    loss = F.cross_entropy(logits, ours.get("labels"), label_smoothing=smoothing)
    loss.backward()
    results = {"logits": logits.T, "loss": loss}
    for number, layer in model.named_children():
        name = f"layers.{number}"
        if isinstance(layer, CfConv2d):
            results[f"after.{name}.kernel_state"] = layer.state
            results |= layer_grads(layer, scales[number], name + ".")
            continue
        for parameter_name, parameter in layer.named_parameters():
            results[f"grad.{name}.{parameter_name}"] = parameter.grad
        if isinstance(layer, nn.BatchNorm2d):
            results[f"after.{name}.running_mean"] = layer.running_mean
            results[f"after.{name}.running_var"] = layer.running_var
    return results


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

    results = 0 if args.config else 4 * args.batch * args.out_channels * args.height * args.width
    return step, {
        "batch": args.batch, "subject": "network" if args.config else "layer", "results_mib": results / 2**20,
    }


def check_infer(args, ours):
    with torch.inference_mode():
        if args.config:
            model, _, _ = network(args.config, args.classes)
            load_network(model.eval(), ours)
            return {"logits": model(ours.images("input")).T}
        layer = layer_of(args).eval()
        load_layer(layer, ours)
        return {"output": layer(ours.images("input"))}


def bench_sgemm(args):
    a, b = torch.randn(args.size, args.size), torch.randn(args.size, args.size)
    return lambda: a @ b, {"size": args.size}


class Dump:
    """The tensors of a safetensors file, in the default precision."""

    DTYPES = {"F32": torch.float32, "F64": torch.float64, "U64": torch.int64}

    def __init__(self, path):
        with open(path, "rb") as file:
            data = bytearray(file.read())
        (length,) = struct.unpack("<Q", data[:8])
        header, values = json.loads(data[8 : 8 + length]), data[8 + length :]
        header.pop("__metadata__", None)
        self.tensors = {}
        for name, entry in header.items():
            (start, end), dtype = entry["data_offsets"], self.DTYPES[entry["dtype"]]
            # A tensor of no values has no bytes to be viewed.
            flat = torch.frombuffer(values[start:end], dtype=dtype) if end > start else torch.empty(0, dtype=dtype)
            self.tensors[name] = flat.view(entry["shape"])

    def __call__(self, name):
        return self.tensors[name].to(torch.get_default_dtype())

    def get(self, name):
        """Integers, or nothing if there are none of this name."""
        return self.tensors.get(name)

    def complex(self, name):
        return torch.view_as_complex(self(name).contiguous())

    def images(self, name):
        """[C, H, W, B] → [B, C, H, W]."""
        return self(name).permute(3, 0, 1, 2).contiguous()

    def distance(self, name, theirs):
        """‖theirs − ours‖/‖ours‖; tensors of four axes but another shape are images in our layout."""
        ours, theirs = self.tensors[name].double(), theirs.detach()
        if theirs.is_complex():
            theirs = torch.view_as_real(theirs)
        if theirs.dim() == 4 and theirs.shape != ours.shape:
            theirs = theirs.permute(1, 2, 3, 0)
        theirs = theirs.double().reshape(ours.shape)
        return ((theirs - ours).norm() / ours.norm().clamp_min(1e-30)).item()


def check(args):
    """Distances of every result in either precision; results that the file has and we do not are listed."""
    dump, differences = Dump(args.check), {}
    for dtype in (torch.float32, torch.float64):
        torch.set_default_dtype(dtype)
        for name, tensor in globals()["check_" + args.command](args, dump).items():
            distance = dump.distance(name, tensor)
            differences.setdefault(name, {})[str(dtype).removeprefix("torch.")] = distance
    largest = max(differences, key=lambda name: max(differences[name].values()))
    unchecked = [n for n in dump.tensors if n not in differences and n.startswith(("grad.", "after.", "output"))]
    return {
        "differences": differences,
        "largest": max(differences[largest].values()),
        "largest_of": largest,
        "unchecked": [n for n in unchecked if not n.endswith("output_scale")],
        "torch": torch.__version__,
    }


class CudaMemoryWatch:
    """The growth of what PyTorch's allocator holds on the card."""

    def __init__(self):
        torch.cuda.reset_peak_memory_stats()
        self.before = torch.cuda.memory_allocated()

    def growth_mib(self):
        return (torch.cuda.max_memory_allocated() - self.before) / 2**20


class MemoryWatch:
    """The growth of this process's resident memory from its start on, where the system tells."""

    def __init__(self):
        with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        self.before = self.status("VmRSS:")

    def growth_mib(self):
        peak = self.status("VmHWM:")
        return None if peak is None or self.before is None else max(peak - self.before, 0.0)

    @staticmethod
    def status(field):
        with contextlib.suppress(OSError), open("/proc/self/status") as file:
            for line in file:
                if line.startswith(field):
                    return int(line.split()[1]) / 1024
        return None


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name, *, batch=True):
        sub = commands.add_parser(name)
        if batch:
            sub.add_argument("--batch", type=int, default=32)
        # Spelled out, so that they can be searched for.
        sizes = {"--in-channels": 32, "--out-channels": 32, "--height": 64, "--width": 64}
        counts = {"--threads": 0, "--steps": 7, "--warmup": 2, "--classes": 2}
        for option, default in (sizes | counts).items():
            sub.add_argument(option, type=int, default=default)
        sub.add_argument("--compile", action="store_true")
        sub.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
        sub.add_argument("--tf32", action="store_true")
        sub.add_argument("--check", metavar="FILE")
        return sub

    def kernel(sub):
        sub.add_argument("--positions", default="262144")
        sub.add_argument("--lattice", type=int)
        sub.add_argument("--hidden-width", type=int, default=64)
        sub.add_argument("--hidden-layers", type=int, default=2)
        sub.add_argument("--ema-alpha", type=float, default=0.5)

    command("fft")
    kernel(command("layer"))
    conv = command("conv3x3")
    conv.add_argument("--kernel-size", type=int, default=3)
    conv.add_argument("--circular", action="store_true")
    net = command("net", batch=False)
    net.add_argument("--config", required=True)
    net.add_argument("--set", metavar="KEY=VALUE", action="append", default=[])
    net.add_argument("--batch", dest="batch_of_net", type=int)
    infer = command("infer")
    kernel(infer)
    infer.add_argument("--config")
    command("sgemm").add_argument("--size", type=int, default=1024)
    return parser.parse_args()


def prepare_device(args):
    """Checks that there is the device; returns what waits for it."""
    if args.device == "cpu":
        if args.tf32:
            raise SystemExit("--tf32 is of graphics cards: give --device cuda")
        return lambda: None
    if args.check:
        raise SystemExit("--check compares on the CPU: leave out --device cuda")
    if not torch.cuda.is_available():
        raise SystemExit(f"--device cuda: PyTorch {torch.__version__} finds no graphics card that it can use")
    # Matrix products are single precision unless told otherwise, convolutions TF32.
    torch.backends.cuda.matmul.allow_tf32 = args.tf32
    torch.backends.cudnn.allow_tf32 = args.tf32
    return torch.cuda.synchronize


def timed(step, wait, warmup, steps):
    """Seconds of each step after the warm-up; `wait` returns when the device has done everything."""
    seconds = []
    for number in range(warmup + steps):
        wait()
        start = time.perf_counter()
        step()
        wait()
        if number >= warmup:
            seconds.append(time.perf_counter() - start)
    return seconds


def main():
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    wait = prepare_device(args)
    if args.check:
        print(json.dumps(check(args)))
        return
    # A network counts from before it is made, everything else from its operands on; as in cfconv-bench.
    watch = CudaMemoryWatch if args.device == "cuda" else MemoryWatch
    memory = watch()
    with torch.device(args.device):
        step, report = globals()["bench_" + args.command](args)
    if args.command != "net":
        memory = watch()
    seconds = timed(step, wait, args.warmup, args.steps)
    growth = memory.growth_mib()
    if growth is not None:
        report["peak_growth_mib"] = growth
        if "results_mib" in report:
            report["peak_scratch_mib"] = max(growth - report["results_mib"], 0.0)
    report |= {
        "median_s": statistics.median(seconds),
        "min_s": min(seconds),
        "seconds": seconds,
        "steps": args.steps,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if args.device == "cuda" else "cpu",
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
