"""Writes the odd image files of this folder and expected.json, what Pillow makes of them.

Made with Python 3 and Pillow 13.0.0:  python make_fixtures.py
"""

import json
import random
from pathlib import Path

import PIL
from PIL import Image

HERE = Path(__file__).parent
SIDE = 16
# Four quadrants: top left, top right, bottom left, bottom right.
COLORS = [(200, 30, 40), (20, 180, 60), (30, 50, 190), (240, 240, 230)]
CENTRES = [(4, 4), (12, 4), (4, 12), (12, 12)]


def quadrants(mode="RGB", colors=COLORS):
    image = Image.new(mode, (SIDE, SIDE))
    half = SIDE // 2
    for number, color in enumerate(colors):
        image.paste(color, (number % 2 * half, number // 2 * half, number % 2 * half + half, number // 2 * half + half))
    return image


def over_white(image):
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


expected = {"pillow": PIL.__version__}


def note(name, image):
    """Records [red, green, blue] at the middle of each quadrant."""
    expected[name] = [list(image.getpixel(centre)) for centre in CENTRES]


rgb = quadrants()
rgb.convert("CMYK").save(HERE / "cmyk.jpg", quality=95)
note("cmyk.jpg", Image.open(HERE / "cmyk.jpg").convert("RGB"))

rgb.save(HERE / "progressive.jpg", quality=95, progressive=True)
note("progressive.jpg", Image.open(HERE / "progressive.jpg").convert("RGB"))

exif = Image.Exif()
exif[0x0112] = 6  # orientation: to be turned by 90 degrees clockwise
rgb.save(HERE / "rotated.jpg", quality=95, exif=exif)
note("rotated.jpg", Image.open(HERE / "rotated.jpg").convert("RGB").transpose(Image.Transpose.ROTATE_270))

rgb.convert("L").save(HERE / "grey.jpg", quality=95)
note("grey.jpg", Image.open(HERE / "grey.jpg").convert("RGB"))

alpha = quadrants("RGBA", [(*color, opacity) for color, opacity in zip(COLORS, [255, 128, 0, 77])])
alpha.save(HERE / "alpha.png")
note("alpha.png", over_white(alpha))

palette = rgb.quantize(4, dither=Image.Dither.NONE)
palette.save(HERE / "palette.png", transparency=palette.getpixel((4, 4)))
note("palette.png", over_white(Image.open(HERE / "palette.png")))

rgb.save(HERE / "animated.png", save_all=True, append_images=[Image.new("RGB", rgb.size, "black")], duration=100)
note("animated.png", rgb)

grey16 = Image.new("I;16", (SIDE, SIDE))
for x in range(SIDE):
    for y in range(SIDE):
        grey16.putpixel((x, y), 257 * (40 + 100 * (x >= SIDE // 2) + 60 * (y >= SIDE // 2)))
grey16.save(HERE / "grey16.png")
expected["grey16.png"] = [[40] * 3, [140] * 3, [100] * 3, [200] * 3]

# A random landscape image and its reductions with Pillow's Lanczos filter, [3, 16, 16].
random.seed(1)
small = Image.new("RGB", (9, 6))
small.putdata([tuple(random.randrange(256) for _ in range(3)) for _ in range(54)])
landscape = small.resize((54, 36), Image.Resampling.BICUBIC)
landscape.save(HERE / "landscape.png")


def planes(image):
    return [value for channel in image.split() for value in channel.tobytes()]


lanczos = Image.Resampling.LANCZOS
expected["landscape.png squash"] = planes(landscape.resize((SIDE, SIDE), lanczos))
expected["landscape.png crop"] = planes(landscape.crop((9, 0, 45, 36)).resize((SIDE, SIDE), lanczos))

(HERE / "expected.json").write_text(json.dumps(expected) + "\n")
