"""Make ``stylegan2_parity.npz`` again: what the authors' own code gives for a few small networks; print a parity table.

``python tests/data/make_stylegan2_fixture.py NVIDIA_CHECKOUT [ROSINALITY_CHECKOUT] [--pickle FILE]``, in the
repository's root with ``PYTHONPATH=.``; the checkouts are of NVlabs/stylegan2-ada-pytorch and
rosinality/stylegan2-pytorch (without a GPU both fall back to plain operations). ``--pickle`` also writes a network
pickle made by NVIDIA's own classes; such a file embeds their source and must not be committed.

The networks' numbers follow from a seed (``tests/inversion/stylegan2_toy.py``); the fixture holds images and codes.
"""

import argparse
import pickle
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from inversion.stylegan2 import load_stylegan2
from tests.inversion.stylegan2_toy import Toy, numbers, nvidia_tensors, rosinality_names

#: Name to network, as the fixture keeps them.
STORED = {
    "skip": Toy(resolution=64, channel_base=1024, channel_max=32, seed=1),
    "resnet": Toy(resolution=32, architecture="resnet", conv_clamp=1.5, num_layers=3, seed=2),
    "orig": Toy(resolution=32, architecture="orig", w_dim=24, seed=3),
    "clamped": Toy(resolution=32, conv_clamp=0.8, num_fp16_res=2, seed=4),
}
ROSINALITY = Toy(resolution=16, channel_base=1 << 20, channel_max=512, seed=5)
#: What the table adds: random networks of other sizes.
TABLE = {
    "64 skip, w 512, 8 layers": Toy(64, 4096, 128, 512, 8, seed=11),
    "64 resnet, clamp 256, 4 fp16": Toy(64, 4096, 64, 64, 2, "resnet", 256.0, 4, seed=12),
    "64 orig": Toy(64, 2048, 64, 64, 4, "orig", seed=13),
    "256 skip, clamp 256, 4 fp16": Toy(256, 4096, 128, 512, 8, "skip", 256.0, 4, seed=14),
    "256 resnet": Toy(256, 4096, 64, 128, 2, "resnet", seed=15),
    "256 skip, channel base 16384": Toy(256, 16384, 512, 512, 8, "skip", 256.0, 4, seed=16),
    "1024 skip": Toy(1024, 8192, 64, 512, 8, seed=17),
    "1024 resnet": Toy(1024, 8192, 32, 64, 2, "resnet", seed=18),
    "1024 orig": Toy(1024, 8192, 32, 64, 2, "orig", seed=19),
}


def nvidia_network(toy: Toy) -> torch.nn.Module:
    """Build the authors' network with the toy's numbers; names and shapes must fit exactly."""
    from training.networks import Generator

    synthesis = {"channel_base": toy.channel_base, "channel_max": toy.channel_max, "architecture": toy.architecture}
    synthesis |= {"conv_clamp": toy.conv_clamp, "num_fp16_res": toy.num_fp16_res}
    network = Generator(
        z_dim=toy.w_dim,
        c_dim=0,
        w_dim=toy.w_dim,
        img_resolution=toy.resolution,
        img_channels=3,
        mapping_kwargs={"num_layers": toy.num_layers},
        synthesis_kwargs=synthesis,
    )
    network.load_state_dict(nvidia_tensors(toy), strict=True)
    return network.eval().requires_grad_(False)


def codes_of(toy: Toy) -> tuple[torch.Tensor, torch.Tensor]:
    """Give z [2, w_dim] and codes [1, n_channels, w_dim], every channel its own."""
    return numbers(toy.seed + 500, 2, toy.w_dim), 0.7 * numbers(toy.seed + 600, 1, toy.n_channels, toy.w_dim)


@torch.no_grad()
def reference(toy: Toy) -> dict[str, np.ndarray]:
    """Give the authors' codes and images for one network, with their constant noise and with none."""
    network, (z, w_plus) = nvidia_network(toy), codes_of(toy)
    render = {"force_fp32": True, "fused_modconv": True}
    return {
        "w": network.mapping(z, None, truncation_psi=0.7)[:, 0].numpy(),
        "image": network.synthesis(w_plus, noise_mode="const", **render).numpy(),
        "image_without_noise": network.synthesis(w_plus, noise_mode="none", **render).numpy(),
    }


@torch.no_grad()
def rosinality_image(checkout: Path) -> np.ndarray:
    """Give the image of rosinality's code, its compiled operations switched off."""
    import torch.utils.cpp_extension

    torch.utils.cpp_extension.load = lambda *_, **__: None
    sys.path.insert(0, str(checkout))
    from model import Generator  # type: ignore[import-not-found]

    network = Generator(ROSINALITY.resolution, ROSINALITY.w_dim, ROSINALITY.num_layers)
    network.load_state_dict(rosinality_names(nvidia_tensors(ROSINALITY)), strict=True)
    image, _ = network([codes_of(ROSINALITY)[1]], input_is_latent=True, randomize_noise=False)
    return image.numpy()


@torch.no_grad()
def print_table(folder: Path) -> None:
    """Compare whole images of networks that NVIDIA's own classes pickled."""
    print("| network | W+ channels | max abs difference of w | of the image | deviation of the image's pixels |")
    print("|---|---|---|---|---|")
    for name, toy in TABLE.items():
        theirs = reference(toy)
        ours = load_stylegan2(write_real_pickle(toy, folder / "network.pkl"), device="cpu")
        z, w_plus = codes_of(toy)
        w, image = ours.map(z, 0.7).numpy(), ours.synthesise(w_plus).numpy()
        worst = np.abs(image - theirs["image"]).max()
        print(f"| {name} | {ours.n_channels} | {np.abs(w - theirs['w']).max():.1e} | {worst:.1e} | {image.std():.2f} |")


def write_real_pickle(toy: Toy, path: Path) -> Path:
    """Pickle a network by NVIDIA's own classes."""
    network = nvidia_network(toy)
    content = {"G": network, "D": network, "G_ema": network, "training_set_kwargs": {}, "augment_pipe": None}
    path.write_bytes(pickle.dumps(content))
    return path


def main() -> None:
    """Write the fixture beside this file, then print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("nvidia", type=Path)
    parser.add_argument("rosinality", type=Path, nargs="?")
    parser.add_argument("--pickle", type=Path)
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.nvidia))
    arrays = {f"{name}.{key}": a for name, toy in STORED.items() for key, a in reference(toy).items()}
    target = Path(__file__).with_name("stylegan2_parity.npz")
    if arguments.rosinality:
        arrays["rosinality.image"] = rosinality_image(arguments.rosinality)
    elif target.exists():
        arrays["rosinality.image"] = np.load(target)["rosinality.image"]
    np.savez_compressed(target, **arrays)
    print(f"{target.name}: {target.stat().st_size / 1024:.0f} KiB, torch {torch.__version__}")
    if arguments.pickle:
        write_real_pickle(STORED["clamped"], arguments.pickle)
    with tempfile.TemporaryDirectory() as folder:
        print_table(Path(folder))


if __name__ == "__main__":
    main()
