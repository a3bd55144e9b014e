"""Writes golden.json: transforms, convolutions, resampling and padding as NumPy and SciPy compute them.

Run: pip install numpy==2.4.6 scipy==1.17.1 && python make_golden.py
"""

import json
import pathlib
import platform

import numpy as np
import scipy
from scipy import ndimage, signal

rng = np.random.default_rng(20240607)


def real(*shape):
    # Two decimals keep the file small; the values are exact decimals read by both sides.
    return np.round(rng.uniform(-1, 1, shape), 2)


def dump(array):
    array = np.asarray(array)
    if np.iscomplexobj(array):
        return {"shape": list(array.shape), "re": array.real.ravel().tolist(), "im": array.imag.ravel().tolist()}
    return {"shape": list(array.shape), "re": array.ravel().tolist()}


golden = {
    "versions": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
    "rfft2": [],
    "irfft2": [],
    "convolve2d": [],
    "circular": [],
    "resample": [],
    "pad": [],
}

for shape in [(1, 1), (4, 7), (5, 6), (8, 8), (7, 1)]:
    image = real(*shape)
    # Not Hermitian in the self-conjugate columns.
    half = real(shape[0], shape[1] // 2 + 1) + 1j * real(shape[0], shape[1] // 2 + 1)
    for norm in ["backward", "ortho", "forward"]:
        golden["rfft2"].append(
            {"norm": norm, "input": dump(image), "output": dump(np.fft.rfft2(image, norm=norm))}
        )
        output = np.fft.irfft2(half, s=shape, norm=norm)
        golden["irfft2"].append({"norm": norm, "input": dump(half), "output": dump(output)})

for image_shape, kernel_shape in [((7, 6), (3, 3)), ((6, 9), (4, 5)), ((5, 5), (5, 2))]:
    image, kernel = real(*image_shape), real(*kernel_shape)
    for mode in ["full", "same", "valid"]:
        case = {"mode": mode, "image": dump(image), "kernel": dump(kernel)}
        case["convolution"] = dump(signal.convolve2d(image, kernel, mode))
        # SciPy centres an even kernel of a "same" correlation on the other side: not compared.
        if mode != "same" or all(k % 2 for k in kernel_shape):
            case["cross_correlation"] = dump(signal.correlate2d(image, kernel, mode))
        golden["convolve2d"].append(case)

# Circular, odd kernels, centred, one of them larger than the image.
for image_shape, kernel_shape in [((6, 7), (3, 5)), ((4, 5), (7, 3))]:
    image, kernel = real(*image_shape), real(*kernel_shape)
    golden["circular"].append(
        {
            "image": dump(image),
            "kernel": dump(kernel),
            "convolution": dump(ndimage.convolve(image, kernel, mode="wrap")),
            "cross_correlation": dump(ndimage.correlate(image, kernel, mode="wrap")),
        }
    )

for old, new in [((6, 8), (9, 12)), ((9, 8), (6, 4)), ((5, 7), (8, 6)), ((8, 6), (5, 11)), ((6, 6), (6, 6))]:
    image = real(*old)
    output = signal.resample(signal.resample(image, new[0], axis=0), new[1], axis=1)
    golden["resample"].append({"input": dump(image), "output": dump(output)})

for mode, name in [("zeros", "constant"), ("circular", "wrap"), ("reflect", "reflect"), ("replicate", "edge")]:
    image = real(3, 4)
    margins = [1, 2, 7, 3]  # top, bottom, left, right: one is wider than the image
    output = np.pad(image, [margins[:2], margins[2:]], mode=name)
    golden["pad"].append({"mode": mode, "margins": margins, "input": dump(image), "output": dump(output)})

path = pathlib.Path(__file__).with_name("golden.json")
path.write_text(json.dumps(golden, separators=(",", ":")).replace('{"', '\n{"') + "\n")
