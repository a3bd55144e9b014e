"""Golden values of operations and optimisers from PyTorch.

Run with

    pip install torch==2.15.0
    python operations.py > operations.json

Values number j of a tensor with phase p are 1.2 sin(0.7 j + p), in single precision; tensors are written flat in
PyTorch's order (NCHW). Every gradient is that of sum(output * cotangent).
"""

import json
import platform

import torch
import torch.nn.functional as F


def values(phase, *shape):
    count = 1
    for size in shape:
        count *= size
    flat = 1.2 * torch.sin(0.7 * torch.arange(count, dtype=torch.float64) + phase)
    return flat.to(torch.float32).reshape(shape)


def flat(tensor):
    return [float(x) for x in tensor.detach().reshape(-1)]


def operation(shape_out, function, *operands):
    operands = [operand.requires_grad_() for operand in operands]
    output = function(*operands)
    assert output.shape == torch.Size(shape_out), output.shape
    (output * values(0.9, *shape_out)).sum().backward()
    return {"output": flat(output), "grads": [flat(operand.grad) for operand in operands]}


def optimizer(make):
    # The first parameter decays, the second does not.
    first, second = values(0.1, 3).requires_grad_(), values(0.2, 2).requires_grad_()
    optimizer = make([{"params": [first], "weight_decay": 0.1}, {"params": [second], "weight_decay": 0.0}])
    trace = []
    for step in range(5):
        first.grad, second.grad = values(step + 0.3, 3), values(step + 0.4, 2)
        for group in optimizer.param_groups:
            group["lr"] = 0.05 / (step + 1)
        optimizer.step()
        trace.append(flat(first) + flat(second))
    return trace


def batch_norm():
    running_mean, running_var = torch.zeros(2), torch.ones(2)

    def function(x, weight, bias):
        return F.gelu(
            F.batch_norm(x, running_mean, running_var, weight, bias, training=True, momentum=0.1, eps=1e-5),
            approximate="tanh",
        )

    result = operation((3, 2, 3, 2), function, values(0.1, 3, 2, 3, 2), values(0.2, 2), values(0.3, 2))
    return result | {"running_mean": flat(running_mean), "running_var": flat(running_var)}


def cross_entropy():
    logits = values(0.1, 3, 4).requires_grad_()
    loss = F.cross_entropy(logits, torch.tensor([2, 0, 3]), label_smoothing=0.1)
    loss.backward()
    return {"loss": float(loss.detach()), "grad": flat(logits.grad)}


print(
    json.dumps(
        {
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
            "conv_zeros": operation(
                (2, 3, 5, 4),
                lambda x, w, b: F.conv2d(x, w, b, padding=1),
                values(0.1, 2, 2, 5, 4),
                values(0.2, 3, 2, 3, 3),
                values(0.3, 3),
            ),
            "conv_circular": operation(
                (2, 3, 5, 4),
                lambda x, w, b: F.conv2d(F.pad(x, (1, 1, 1, 1), mode="circular"), w, b),
                values(0.1, 2, 2, 5, 4),
                values(0.2, 3, 2, 3, 3),
                values(0.3, 3),
            ),
            "max_pool": operation((2, 2, 2, 2), lambda x: F.max_pool2d(x, 3, 2), values(0.1, 2, 2, 5, 6)),
            "avg_pool": operation((2, 2, 2, 2), lambda x: F.avg_pool2d(x, 3, 2), values(0.1, 2, 2, 5, 6)),
            "linear": operation(
                (3, 2), F.linear, values(0.1, 3, 5), values(0.2, 2, 5), values(0.3, 2)
            ),
            "batch_norm_gelu": batch_norm(),
            "cross_entropy": cross_entropy(),
            "adam": optimizer(lambda groups: torch.optim.Adam(groups, betas=(0.9, 0.99), eps=1e-8)),
            "adam-w": optimizer(lambda groups: torch.optim.AdamW(groups, betas=(0.9, 0.99), eps=1e-8)),
            "sgd": optimizer(lambda groups: torch.optim.SGD(groups, lr=0.05, momentum=0.9)),
        }
    )
)
