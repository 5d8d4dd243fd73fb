import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from visual_taxonomy.data import transforms as transforms_module
from visual_taxonomy.data.transforms import (
    AUGMENTATIONS,
    evaluation_transform,
    homography,
    light_transform,
    rotation,
    training_transform,
    warp,
)

ROTATION, PERSPECTIVE = v2.RandomRotation(10, InterpolationMode.BILINEAR), v2.RandomPerspective(0.1)


def noise(height: int, width: int) -> Tensor:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return torch.from_numpy(pixels).permute(2, 0, 1)


def smooth(height: int, width: int) -> Tensor:
    y, x = torch.meshgrid(torch.arange(height) / 9, torch.arange(width) / 7, indexing="ij")
    waves = torch.stack([torch.sin(x + y), torch.cos(x - y), torch.sin(2 * x)])
    return (127.5 + 100 * waves).to(torch.uint8)


def half_black(height: int, width: int) -> Tensor:
    image = torch.full((3, height, width), 255, dtype=torch.uint8)
    image[:, :, : width // 2] = 0
    return image


@pytest.mark.parametrize("size", [(16, 16), (12, 20), (40, 9)])
@pytest.mark.parametrize("make", [training_transform, evaluation_transform])
def test_an_image_becomes_uint8_of_height_and_width(make, size):
    image = make(size)(noise(30, 24))
    assert image.dtype == torch.uint8
    assert image.shape == (3, *size)


@pytest.mark.parametrize(("height", "width"), [(50, 30), (7, 9), (16, 24)])
def test_evaluation_is_the_bicubic_resize_of_pillow(height, width):
    image = noise(height, width)
    pillow = Image.fromarray(image.permute(1, 2, 0).numpy())
    expected = np.asarray(pillow.resize((24, 16), Image.Resampling.BICUBIC)).astype(int)
    difference = abs(evaluation_transform((16, 24))(image).permute(1, 2, 0).numpy() - expected)
    assert difference.max() <= 4  # noise is the hardest: photographs differ by 2 at most
    assert difference.mean() <= 0.3


@pytest.mark.parametrize("name", ["bilinear", "lanczos"])
def test_evaluation_resizes_with_the_filter_asked_for(name):
    image = noise(50, 30)
    pillow = Image.fromarray(image.permute(1, 2, 0).numpy())
    expected = np.asarray(pillow.resize((24, 16), Image.Resampling[name.upper()])).astype(int)
    found = evaluation_transform((16, 24), name)(image).permute(1, 2, 0).numpy()
    assert abs(found - expected).mean() <= 0.3
    bicubic = evaluation_transform((16, 24))(image).permute(1, 2, 0).numpy()
    assert abs(found.astype(int) - bicubic).mean() > 1


def test_nearest_invents_no_value():
    for make in (training_transform, evaluation_transform):
        torch.manual_seed(0)
        image = make((8, 8), "nearest")(half_black(30, 24))
        assert set(image.unique().tolist()) <= {0, 255} or make is training_transform
        assert image.shape == (3, 8, 8)


def test_the_layout_in_memory_does_not_matter():
    image = noise(50, 30)
    for make in (training_transform, evaluation_transform):
        images = []
        for layout in (image, image.contiguous()):
            torch.manual_seed(1)
            images.append(make((24, 16))(layout).int())
        assert abs(images[0] - images[1]).max() <= 1


def test_evaluation_shows_the_whole_image_without_keeping_its_ratio():
    image = evaluation_transform((8, 8))(half_black(10, 100))
    assert (image[:, :, :3] == 0).all()
    assert (image[:, :, 5:] == 255).all()


def test_evaluation_draws_nothing_at_random():
    before = torch.get_rng_state()
    evaluation_transform((8, 8))(noise(9, 9))
    assert torch.equal(torch.get_rng_state(), before)


def test_training_depends_on_the_random_state_of_torch_alone():
    transform, image = training_transform((16, 16)), noise(30, 24)
    images = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        images.append(transform(image))
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])


@pytest.mark.parametrize("seed", range(5))
def test_training_crops_as_torchvision_does(seed):
    options = {"scale": (0.9, 1.0), "interpolation": v2.InterpolationMode.BICUBIC}
    expected = v2.RandomResizedCrop((24, 16), **options)
    crop = training_transform((24, 16)).transforms[0]
    images = []
    for transform in (expected, crop):
        torch.manual_seed(seed)
        images.append(transform(noise(50, 40)))
    assert torch.equal(*images)


def test_training_mirrors_about_half_of_the_images():
    image = half_black(32, 32)
    transform = training_transform((32, 32))
    mirrored = [bool(transform(image)[0, 16, 8] > 128) for _ in range(60)]
    assert 18 <= sum(mirrored) <= 42  # 3 standard deviations of a fair coin


def drawn_matrices(monkeypatch: pytest.MonkeyPatch, height: int, width: int, count: int):
    """What the training transform warps images of H x W with."""
    matrices = []

    def note(image: Tensor, matrix: np.ndarray) -> Tensor:
        matrices.append(matrix)
        return image

    monkeypatch.setattr(transforms_module, "warp", note)
    transform = training_transform((height, width))
    for _ in range(count):
        transform(noise(height, width))
    return matrices


@pytest.mark.parametrize("seed", range(12))
def test_one_warp_shows_what_mirror_rotation_and_perspective_show_one_after_the_other(seed):
    steps = v2.Compose([v2.RandomHorizontalFlip(), ROTATION, PERSPECTIVE])
    whole = training_transform((90, 120)).transforms[1]
    seen = []
    for image in (smooth(90, 120), torch.full((3, 90, 120), 255, dtype=torch.uint8)):
        for transform in (steps, whole):
            torch.manual_seed(seed)
            seen.append(transform(image).float())
    expected, found, *inside = seen
    away_from_borders = (inside[0] == 255) & (inside[1] == 255)
    assert away_from_borders.float().mean() > 0.7
    assert inside[1].mean() >= inside[0].mean()  # no step cuts off what the next brings back
    difference = abs(expected - found)[away_from_borders]
    assert difference.mean() < 0.4  # of 255; two resamplings blur and round more than one
    assert difference.max() <= 3


def test_corners_of_mirror_rotation_and_perspective_are_those_computed_by_hand(monkeypatch):
    moved = [[0, 0], [3, 0], [2, 3], [1, 3]]
    corners = [[0, 0], [3, 0], [3, 3], [0, 3]]
    monkeypatch.setattr(torch, "rand", lambda size: torch.zeros(size))  # mirror and perspective
    monkeypatch.setattr(v2.RandomRotation, "get_params", lambda degrees: 90.0)
    monkeypatch.setattr(v2.RandomPerspective, "get_params", lambda *_: (corners, moved))
    (matrix,) = drawn_matrices(monkeypatch, 4, 4, 1)
    points = matrix @ np.column_stack([moved, np.ones(4)]).T
    # Of the corners, a quarter turn about (2, 2) shows (4, 0), (4, 3), (1, 3), (1, 0).
    np.testing.assert_allclose(
        (points[:2] / points[2]).T, [[0, 0], [0, 3], [3, 3], [3, 0]], 0, 1e-9
    )


def test_mirror_and_perspective_come_half_the_time_and_angles_are_uniform(monkeypatch):
    matrices = np.stack(drawn_matrices(monkeypatch, 64, 64, 400))
    linear = matrices[:, :2, :2]
    rigid = abs(linear @ linear.transpose(0, 2, 1) - np.eye(2)).max((1, 2)) < 1e-9
    for events in (np.linalg.det(linear) < 0, rigid):
        assert 170 <= events.sum() <= 230  # 3 standard deviations of a fair coin
    angles = np.degrees(np.arcsin(linear[rigid, 1, 0]))
    assert abs(angles).max() <= 10
    np.testing.assert_allclose(np.percentile(angles, [25, 50, 75]), [-5, 0, 5], atol=2.5)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (16, 24), (224, 224), (7, 1000)])
def test_a_warp_that_moves_nothing_changes_no_pixel(height, width):
    image = noise(height, width)
    assert torch.equal(warp(image, np.eye(3)), image)
    unmoved = [[0, 0], [width + 1, 0], [width + 1, height + 1], [0, height + 1]]
    still = rotation(0.0, height, width) @ homography(unmoved, unmoved)
    assert torch.equal(warp(image, still), image)


@pytest.mark.parametrize(("height", "width"), [(5, 4), (16, 24)])
def test_warps_mirror_and_turn_upside_down_without_changing_a_value(height, width):
    image = noise(height, width)
    mirror = np.array([[-1, 0, width], [0, 1, 0], [0, 0, 1]])
    assert torch.equal(warp(image, mirror), image.flip(2))
    assert torch.equal(warp(image, rotation(180.0, height, width)), image.flip(1, 2))


def test_a_rotation_turns_counter_clockwise_as_pillow_does():
    image = noise(6, 6)
    expected = np.asarray(Image.fromarray(image.permute(1, 2, 0).numpy()).rotate(90))
    assert torch.equal(warp(image, rotation(90.0, 6, 6)), torch.tensor(expected).permute(2, 0, 1))


def test_a_warp_is_the_bilinear_perspective_of_pillow():
    image = smooth(60, 80)
    matrix = np.array([[0.9, 0.1, 3.0], [-0.05, 0.85, 4.0], [4e-4, -3e-4, 1.0]])
    expected = Image.fromarray(image.permute(1, 2, 0).numpy()).transform(
        (80, 60), Image.Transform.PERSPECTIVE, matrix.ravel()[:8], Image.Resampling.BILINEAR
    )
    inside = np.s_[4:-4, 4:-4]  # there all points are of the image
    difference = abs(warp(image, matrix).permute(1, 2, 0).numpy() - np.asarray(expected, int))
    assert difference[inside].max() <= 1


def test_a_homography_takes_each_of_four_points_to_its_target():
    source, target = [[0, 0], [9, 1], [8, 7], [1, 6]], [[1, 1], [10, 0], [12, 9], [0, 5]]
    points = homography(source, target) @ np.column_stack([source, np.ones(4)]).T
    np.testing.assert_allclose((points[:2] / points[2]).T, target, atol=1e-9)


def test_what_lies_outside_of_the_image_is_black():
    white = torch.full((3, 20, 20), 255, dtype=torch.uint8)
    image = warp(white, np.array([[1, 0, 5], [0, 1, 0], [0, 0, 1]]))
    assert (image[:, :, :15] == 255).all()
    assert (image[:, :, 15:] == 0).all()


@pytest.mark.parametrize("seed", range(6))
def test_light_augmentation_is_a_crop_of_the_image_with_its_edge_repeated(seed):
    image = noise(48, 33)
    torch.manual_seed(seed)
    found = light_transform((48, 33))(image)
    padded = v2.functional.pad(image, [2, 3], padding_mode="edge")
    crops = [padded[:, top : top + 48, left : left + 33] for top in range(7) for left in range(5)]
    assert sum(torch.equal(each, found) or torch.equal(each.flip(2), found) for each in crops) == 1


def test_light_augmentation_mirrors_half_the_time_and_shifts_each_way_alike():
    transform = light_transform((32, 32))
    marked = torch.zeros(3, 32, 32, dtype=torch.uint8)
    marked[:, 16, 20] = 255
    places = [tuple((transform(marked)[0] == 255).nonzero()[0].tolist()) for _ in range(400)]
    columns = [column for _, column in places]
    assert {row for row, _ in places} == set(range(14, 19))
    assert {*columns} == {*range(18, 23)} | {*range(9, 14)}
    assert 170 <= sum(column < 16 for column in columns) <= 230  # 3 standard deviations


def test_light_augmentation_of_a_small_image_shifts_nothing():
    image = noise(8, 8)
    shown = light_transform((8, 8))(image)
    assert torch.equal(shown, image) or torch.equal(shown, image.flip(2))


def test_without_augmentation_training_sees_what_validation_sees():
    image = noise(30, 24)
    expected = evaluation_transform((12, 10))(image)
    assert torch.equal(AUGMENTATIONS["none"]((12, 10), "bicubic")(image), expected)


@pytest.mark.parametrize("make", [*AUGMENTATIONS.values()])
def test_transforms_can_be_sent_to_other_processes(make):
    transform = make((12, 10))
    images = []
    for each in (transform, pickle.loads(pickle.dumps(transform))):
        torch.manual_seed(1)
        images.append(each(noise(30, 24)))
    assert torch.equal(*images)
