"""Images per second of CPU, forward and backward, of convnets as timm makes them and made fast.

Random weights whose BatchNorm keeps its statistics, as layers of pretrained weights do. The time is
that of the process on one thread, so other work disturbs it little.

OMP_NUM_THREADS=1 python benchmarks/convolutions.py
"""

import argparse
import time

import torch

from visual_taxonomy.model.backbone import Backbone, create_backbone
from visual_taxonomy.model.fast_convolutions import speed_up_convolutions
from visual_taxonomy.processor import machine_key

BACKBONES = ("mobilenetv2_100", "mobilenetv3_large_100", "tf_efficientnetv2_b0", "resnet18")


def rate(backbone: Backbone, images: torch.Tensor, dtype: torch.dtype, repeats: int) -> float:
    """Images per second of the fastest of some passes forward and backward."""
    seconds = []
    for _ in range(1 + repeats):
        started = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            features = backbone(images)
        features.float().square().mean().backward()
        seconds.append(time.process_time() - started)
        backbone.zero_grad()
    return len(images) / min(seconds[1:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", nargs="+", default=BACKBONES)
    parser.add_argument("--image_size", type=int, nargs=2, default=(160, 120))
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = torch.randn(options.batch_size, 3, *options.image_size)
    images = images.contiguous(memory_format=torch.channels_last)
    print(f"{machine_key()}, {images.shape[2]}x{images.shape[3]} px")
    print("\n| backbone | precision | usual | fast | ratio |\n|---|---|---|---|---|")
    for name in options.backbones:
        for dtype in (torch.float32, torch.bfloat16):
            torch.manual_seed(0)
            backbone = create_backbone(name, tuple(options.image_size))
            backbone = backbone.to(memory_format=torch.channels_last).train()
            backbone.hold_statistics()
            usual = rate(backbone, images, dtype, options.repeats)
            speed_up_convolutions(backbone, dtype)
            fast = rate(backbone, images, dtype, options.repeats)
            label = str(dtype).removeprefix("torch.")
            print(
                f"| {name} | {label} | {usual:.1f} | {fast:.1f} | {fast / usual:.2f} |", flush=True
            )


if __name__ == "__main__":
    main()
