"""An epoch of training in plain PyTorch: DataLoader, augmentation as tensor operations, step, average of the weights.

The operations on pixels are those of lib/data/augmentation.ts: a rectangle, one bicubic sampling by an affine map with
a smooth displacement, brightness, gamma. Landmarks move by the inverse of the affine map less the displacement there.
"""

import math

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset


def uniform(low, high):
    return low + (high - low) * torch.rand(()).item()


class Augmented(Dataset):
    """images: uint8 [n, H, W]; points: [n, N, 2] in pixels -> image [1, H, W] in -1 ... 1, target [N], mask [N]."""

    def __init__(self, images, points, config):
        self.images = images
        self.points = points
        self.config = config
        self.height, self.width = images.shape[1:]
        # Knots as far apart as the deformation is smooth, in pixels of a canvas of 640 x 800.
        spacing = config["elastic"]["sigma"] * math.sqrt(3)
        self.knots = (math.ceil(800 / spacing) + 3, math.ceil(640 / spacing) + 3)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index].float()[None]
        points = self.points[index]
        image = self.cut_out(image)
        image, points = self.deform(image, points)
        image = (image * uniform(*self.config["multiply"])).clamp(0, 255)
        image = (image / 255).pow(uniform(*self.config["gamma"])) * 255
        pixel = points.round().long()
        inside = (
            (pixel >= 0) & (pixel < torch.tensor([self.width, self.height]))
        ).all(1)
        target = torch.where(inside, pixel[:, 1] * self.width + pixel[:, 0], 0)
        return image / 127.5 - 1, target, inside.float()

    def cut_out(self, image):
        if torch.rand(()) < 0.5:
            width = uniform(0, self.config["cutout"]) * self.width
            height = uniform(0, self.config["cutout"]) * self.height
            x, y = uniform(0, self.width - width), uniform(0, self.height - height)
            rows = slice(round(y), round(y + height))
            image[:, rows, round(x) : round(x + width)] = uniform(0, 255)
        return image

    def deform(self, image, points):
        config = self.config
        angle = math.radians(uniform(-config["rotate"], config["rotate"]))
        slant = math.radians(uniform(-config["shear"], config["shear"]))
        zoom = uniform(*config["scale"])
        shift = [uniform(-1, 1) * 2 * config["translate"] / size for size in (640, 800)]
        # Output to input, in units of half the image.
        a = torch.tensor(
            [
                [zoom * math.cos(angle), -zoom * math.sin(angle + slant), shift[0]],
                [zoom * math.sin(angle), zoom * math.cos(angle + slant), shift[1]],
            ]
        )
        alpha, sigma = uniform(0, config["elastic"]["alpha"]), config["elastic"]["sigma"]
        pixels = alpha / math.sqrt(12 * math.pi * sigma * sigma)
        knots = torch.randn(1, 2, *self.knots) * pixels * 2 / torch.tensor([640.0, 800.0])[None, :, None, None]
        size = (self.height, self.width)
        displacement = F.interpolate(knots, size=size, mode="bicubic", align_corners=True)
        grid = F.affine_grid(a[None], (1, 1, *size), align_corners=True)
        grid = grid + displacement.permute(0, 2, 3, 1)
        changed = F.grid_sample(
            image[None], grid, mode="bicubic", padding_mode="border", align_corners=True
        )
        half = torch.tensor([self.width - 1, self.height - 1]) / 2
        unit = points / half - 1
        at = F.grid_sample(displacement, unit[None, None], align_corners=True)[0, :, 0].T
        moved = (unit - at - a[:, 2]) @ torch.linalg.inv(a[:, :2]).T
        return changed[0].clamp(0, 255), (moved + 1) * half


class Epoch:
    def __init__(self, inputs, config, network, objective, optimizer):
        data = Augmented(inputs["images"], inputs["points"], config["augmentation"])
        # In this process: an image takes a hundredth of a step, and there are as many threads as cores.
        self.loader = DataLoader(data, batch_size=config["train"]["batchSize"], shuffle=True)
        self.network = network
        self.objective = objective
        self.optimizer = optimizer
        self.decay = config["train"]["ema"]["decay"]
        self.weights = list(network.model.parameters())
        self.averages = [w.detach().clone() for w in self.weights]
        self.updates = 0

    def run(self):
        """One epoch -> its mean loss."""
        losses = []
        for image, target, mask in self.loader:
            self.optimizer.zero_grad(set_to_none=True)
            loss, _, _ = self.objective(
                self.network, {"image": image, "target": target, "mask": mask}
            )
            loss.backward()
            self.optimizer.step()
            self.updates += 1
            decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
            with torch.no_grad():
                torch._foreach_lerp_(self.averages, self.weights, 1 - decay)
            losses.append(loss.item())
        return sum(losses) / len(losses)
