"""Images per second and core from file to batch, against torchvision's ImageFolder with Pillow.

The baseline is what most training scripts run: `datasets.ImageFolder`'s loader (Pillow), Resize
with its default kernel (bilinear), ToTensor, Normalize. Seconds are those of the processor, one
thread: of each batch the best of interleaved rounds, so that a busy machine changes them little.

    export OMP_NUM_THREADS=1
    taskset -c 1 python benchmarks/load.py                # images it draws, 512 and 1,500 px
    taskset -c 1 python benchmarks/load.py --decoders     # decoders, those that are installed
    taskset -c 1 python benchmarks/load.py --img_dir ../shared/data/apparel/images
"""

import argparse
import io
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import transforms
from torchvision.datasets.folder import pil_loader

from visual_taxonomy.data.dataset import ImageDataset, collate
from visual_taxonomy.data.image_cache import cache_in_folder, cached_size, shrink
from visual_taxonomy.data.images import decode_image
from visual_taxonomy.data.sampler import Draw
from visual_taxonomy.data.strong_augmentation import strengthened
from visual_taxonomy.data.transforms import (
    Transform,
    evaluation_transform,
    light_transform,
    training_transform,
)
from visual_taxonomy.synthetic.catalogue import synthesize

BATCH = 8
BICUBIC = transforms.InterpolationMode.BICUBIC
Size = tuple[int, int]
Way = Callable[[list[Path]], object]


def measure(ways: dict[str, Way], paths: list[Path], rounds: int) -> dict[str, float]:
    """Images per second of processor time of each way: each batch's best of several rounds."""
    batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    best = {name: np.full(len(batches), np.inf) for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            for number, batch in enumerate(batches):
                started = time.process_time()
                way(batch)
                best[name][number] = min(best[name][number], time.process_time() - started)
    return {name: len(paths) / seconds.sum() for name, seconds in best.items()}


def pillow(*steps: object) -> Way:
    """ImageFolder's loader with some steps, ToTensor and Normalize."""
    convert = transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)
    transform = transforms.Compose([*steps, *convert])
    return lambda paths: torch.stack([transform(pil_loader(str(path))) for path in paths])


def augmented_with_pillow(size: Size) -> Way:
    """The steps of `training_transform` on Pillow images."""
    return pillow(
        transforms.RandomResizedCrop(size, (0.9, 1.0), interpolation=BICUBIC),
        transforms.RandomHorizontalFlip(),
        transforms.RandomRotation(10),
        transforms.RandomPerspective(0.1, 0.5),
    )


def ours(
    source: Callable[[Path], object], transform: Transform, size: Size, seed: int | None = None
) -> Way:
    """`ImageDataset` and `collate` over what `source` gives of a path."""

    def load(paths: list[Path]) -> object:
        categories, targets = np.zeros(len(paths), np.int64), np.zeros((len(paths), 1), np.int64)
        dataset = ImageDataset(
            lambda row: source(paths[row]), categories, targets, transform, size, seed
        )
        return collate([dataset[Draw(row, 0)] for row in range(len(paths))])

    return load


def loading(paths: list[Path], size: Size, folder: Path) -> tuple[dict[str, Way], dict[str, Way]]:
    """Ways to load without and with augmentation, the baseline first."""
    cache = cache_in_folder(folder / "cache", paths, cached_size(size))
    rows = {path: row for row, path in enumerate(paths)}
    still, random = evaluation_transform(size), training_transform(size)
    light = light_transform(size)

    def cached(path: Path) -> np.ndarray:
        return cache(rows[path])

    plain = {
        "ImageFolder, Pillow, bilinear": pillow(transforms.Resize(size)),
        "ImageFolder, Pillow, bicubic": pillow(transforms.Resize(size, BICUBIC)),
        "plain: full decode, bicubic": ours(decode_image, still, size),
        "draft: reduced decode, bicubic": ours(lambda path: path, still, size),
        "cached, bicubic": ours(cached, still, size),
    }
    training = {
        "ImageFolder, Pillow, augmented": augmented_with_pillow(size),
        "draft, augmented": ours(lambda path: path, random, size, seed=0),
        "cached, augmented": ours(cached, random, size, seed=0),
        "cached, light": ours(cached, light, size, seed=0),
        "cached, light, RandAugment": ours(cached, strengthened(light, (2, 9), 0.0), size, seed=0),
        "cached, light, random erasing": ours(
            cached, strengthened(light, None, 0.25), size, seed=0
        ),
    }
    return plain, training


def decoders(size: Size) -> dict[str, Way]:
    """Decoders that are installed, each followed by the resize of `evaluation_transform`."""
    least = (2 * size[0], 2 * size[1])
    resize = evaluation_transform(size)

    def draft(content: bytes) -> np.ndarray:
        image = Image.open(io.BytesIO(content))
        image.draft("RGB", least[::-1])
        return np.array(image)

    found: dict[str, Callable[[bytes], np.ndarray]] = {
        "Pillow": lambda content: np.array(Image.open(io.BytesIO(content)).convert("RGB")),
        "Pillow, draft": draft,
        "decode_image (simplejpeg)": decode_image,
        "decode_image, reduced": lambda content: decode_image(content, least_size=least),
    }
    with suppress(ImportError):
        import cv2

        cv2.setNumThreads(1)
        found["OpenCV"] = lambda content: cv2.imdecode(
            np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB
        )
    with suppress(ImportError):
        from torchcodec.decoders import decode_image as torchcodec

        found["TorchCodec"] = lambda content: (
            torchcodec(torch.frombuffer(bytearray(content), dtype=torch.uint8))
            .permute(1, 2, 0)
            .numpy()
        )
    with suppress(ImportError):
        from torchvision.io import decode_jpeg

        warnings.filterwarnings("ignore", "The image decoding", DeprecationWarning)
        found["torchvision.io"] = lambda content: (
            decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8))
            .permute(1, 2, 0)
            .numpy()
        )

    def with_resize(decode: Callable[[bytes], np.ndarray]) -> Way:
        return lambda paths: [
            resize(torch.from_numpy(decode(path.read_bytes())).permute(2, 0, 1)) for path in paths
        ]

    ways = {f"{name} + torch resize": with_resize(decode) for name, decode in found.items()}
    for gap in (None, 2.0):
        name = "Pillow, draft + Pillow resize" + ("" if gap is None else f", reducing_gap {gap:g}")
        ways[name] = lambda paths, gap=gap: [
            np.array(
                Image.fromarray(draft(path.read_bytes())).resize(
                    size[::-1], Image.Resampling.BICUBIC, reducing_gap=gap
                )
            )
            for path in paths
        ]
    return ways


def differences(paths: list[Path], size: Size) -> str:
    """How far the pixels of each way are from full decoding and Pillow's bicubic resize."""
    least = (2 * size[0], 2 * size[1])
    resize = evaluation_transform(size)

    def tensor(pixels: np.ndarray) -> np.ndarray:
        return resize(torch.from_numpy(pixels).permute(2, 0, 1)).permute(1, 2, 0).numpy()

    ways: dict[str, Callable[[Path], np.ndarray]] = {
        "plain": lambda path: tensor(decode_image(path)),
        "draft": lambda path: tensor(decode_image(path, least_size=least)),
        "cached": lambda path: tensor(shrink(decode_image(path), cached_size(size))),
    }
    parts = []
    for name, way in ways.items():
        found = []
        for path in paths:
            exact = Image.fromarray(decode_image(path)).resize(size[::-1], Image.Resampling.BICUBIC)
            found.append(abs(way(path).astype(int) - np.asarray(exact)).ravel())
        joined = np.concatenate(found)
        parts.append(
            f"{name}: mean {joined.mean():.2f} (worst image {max(f.mean() for f in found):.2f}), "
            f"99th percentile {np.percentile(joined, 99):.0f}, most {joined.max()}"
        )
    return "Pixels, of 255, from full decoding and Pillow's bicubic: " + "; ".join(parts) + "."


def table(title: str, ways: dict[str, Way], paths: list[Path], rounds: int) -> None:
    """Print one Markdown table; the first way is the baseline."""
    rates = measure(ways, paths, rounds)
    baseline = next(iter(rates.values()))
    print(f"\n| {title} | images/s/core | x baseline |\n|---|---|---|")
    for name, rate in rates.items():
        print(f"| {name} | {rate:.0f} | {rate / baseline:.2f} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--img_dir", type=Path, help="images; drawn ones when left out")
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 1500])
    parser.add_argument("--image_size", type=int, nargs=2, default=(224, 224))
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--decoders", action="store_true", help="compare decoders instead")
    options = parser.parse_args()
    torch.set_num_threads(1)
    size = (options.image_size[0], options.image_size[1])
    with tempfile.TemporaryDirectory() as name:
        folders = {} if options.img_dir is None else {"real images": options.img_dir}
        if not folders:
            for side in options.sides:
                folder = Path(name) / str(side)
                synthesize(folder, max(BATCH, options.images * 512 // side), 3, side, workers=1)
            folders = {
                f"drawn, {side} px": Path(name) / str(side) / "images" for side in options.sides
            }
        for title, folder in folders.items():
            paths = sorted(folder.iterdir())[: options.images]
            if options.decoders:
                table(f"{title}: decode and resize", decoders(size), paths, options.rounds)
                continue
            for ways in loading(paths, size, Path(name) / title):
                table(title, ways, paths, options.rounds)
            print("\n" + differences(paths, size))


if __name__ == "__main__":
    main()
