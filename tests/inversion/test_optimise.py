"""The search: what it finds, that faces do not touch each other, and that reports are true of what is stored."""

import dataclasses
import itertools
import math

import pytest
import torch
from torch import Tensor

from inversion.optimise import InversionSettings, invert
from inversion.schedule import EFFORTS, effort, learning_rate_factor
from tests.inversion.toy import ToyGenerator, faulty_coarse_head, faulty_head, toy_codes, toy_distance

SETTINGS = InversionSettings(steps=32, learning_rate=0.15, mse_weight=1.0, prior_weight=1e-4, correct_every=4)


@pytest.fixture
def generator() -> ToyGenerator:
    return ToyGenerator()


@pytest.fixture(scope="module")
def targets() -> Tensor:
    """Images of four known codes."""
    return ToyGenerator().synthesise(toy_codes(4, seed=1))


def objective(generator: ToyGenerator, codes: Tensor, targets: Tensor, settings: InversionSettings) -> Tensor:
    """The loss [N] written out a second time, on full images."""
    image = generator.synthesise(codes)
    mse = ((image - targets) ** 2).flatten(1).mean(1)
    prior = (((codes - generator.mean_w) / generator.std_w) ** 2).flatten(1).mean(1)
    return toy_distance()(image, targets) + settings.mse_weight * mse + settings.prior_weight * prior


@pytest.mark.parametrize("head", [None, faulty_head])
def test_finds_codes_that_draw_the_target(generator, targets, head):
    result = invert(targets, generator=generator, head=head, perceptual=toy_distance(), settings=SETTINGS)
    mean_code = generator.mean_w.expand(4, 3, 4)
    error = (generator.synthesise(result.wplus) - targets).square().mean((1, 2, 3))
    error_of_mean = (generator.synthesise(mean_code) - targets).square().mean((1, 2, 3))
    assert result.wplus.dtype == torch.float32
    assert result.wplus.shape == (4, 3, 4)
    assert (error < 0.05 * error_of_mean).all()
    assert not result.diverged.any()
    assert result.steps_run.tolist() == [32] * 4


@pytest.mark.parametrize("head", [None, faulty_head])
@pytest.mark.parametrize("learning_rate", [0.1, 3.0])
def test_reported_losses_are_those_of_the_stored_codes(generator, targets, head, learning_rate):
    """Also at a rate that overshoots, where the best step is not the last one."""
    settings = dataclasses.replace(SETTINGS, learning_rate=learning_rate, steps=9)
    start = toy_codes(4, seed=2)
    result = invert(
        targets, generator=generator, head=head, perceptual=toy_distance(), settings=settings, encoder=lambda _: start
    )
    # float32 on both sides, codes stored in w instead of standard deviations: 1e-5.
    torch.testing.assert_close(result.loss_start, objective(generator, start, targets, settings), rtol=1e-5, atol=1e-6)
    stored = objective(generator, result.wplus, targets, settings)
    torch.testing.assert_close(result.loss_best, stored, rtol=1e-5, atol=1e-6)
    assert (result.loss_best <= result.loss_start).all()
    if learning_rate > 1:
        assert (result.best_step < 9).any()


def test_without_steps_the_start_is_kept_and_rated(generator, targets):
    start = toy_codes(4, seed=2)
    settings = dataclasses.replace(SETTINGS, steps=0)
    result = invert(
        targets,
        generator=generator,
        head=faulty_head,
        perceptual=toy_distance(),
        settings=settings,
        encoder=lambda _: start,
    )
    torch.testing.assert_close(result.wplus, start, rtol=1e-6, atol=1e-6)  # through standard deviations and back
    torch.testing.assert_close(result.loss_best, objective(generator, start, targets, settings), rtol=1e-5, atol=1e-6)
    assert torch.equal(result.loss_start, result.loss_best)
    assert result.best_step.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("head", [None, faulty_head])
def test_a_face_alone_gets_what_it_gets_in_a_batch(generator, targets, head):
    def run(images: Tensor) -> Tensor:
        return invert(images, generator=generator, head=head, perceptual=toy_distance(), settings=SETTINGS).wplus

    together = run(targets)
    alone = torch.cat([run(targets[k : k + 1]) for k in range(4)])
    # Adam divides by the gradient's own size, so rounding of small gradients grows; a few thousandths of a step.
    torch.testing.assert_close(together, alone, rtol=0, atol=4e-3)


def test_equal_runs_give_equal_codes(generator, targets):
    runs = [
        invert(targets, generator=generator, head=faulty_head, perceptual=toy_distance(), settings=SETTINGS)
        for _ in range(2)
    ]
    assert torch.equal(runs[0].wplus, runs[1].wplus)
    assert torch.equal(runs[0].loss_best, runs[1].loss_best)


def test_correction_keeps_the_heads_errors_out_of_the_codes(generator, targets):
    trusting = dataclasses.replace(SETTINGS, correct_every=32)

    def full_loss(settings: InversionSettings) -> Tensor:
        result = invert(targets, generator=generator, head=faulty_head, perceptual=toy_distance(), settings=settings)
        return objective(generator, result.wplus, targets, settings)

    assert (full_loss(SETTINGS) < 0.5 * full_loss(trusting)).all()


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({"correct_every": 4}, [0, 4, 8, 12, 16, 20, 24, 28, 32]),
        ({"correct_every": 20}, [0, 20, 32]),
        ({"correct_every": 20, "coarse_fraction": 0.25}, [0, 8, 20, 32]),
    ],
)
def test_full_images_are_made_where_settings_say(generator, targets, changes, steps):
    settings = dataclasses.replace(SETTINGS, **changes)
    result = invert(
        targets,
        generator=generator,
        head=faulty_head,
        coarse=faulty_coarse_head,
        perceptual=toy_distance(),
        settings=settings,
    )
    assert generator.n_full_images == 4 * len(steps)
    assert result.trace.step.tolist() == steps


def test_coarse_steps_lead_to_the_target_too(generator, targets):
    settings = dataclasses.replace(SETTINGS, coarse_fraction=0.75)
    drawn_px = []

    def coarse(codes: Tensor) -> Tensor:
        drawn_px.append(128)
        return faulty_coarse_head(codes)

    result = invert(
        targets, generator=generator, head=faulty_head, coarse=coarse, perceptual=toy_distance(), settings=settings
    )
    assert len(drawn_px) == 24
    # Ratings are those of the 256 px image at coarse steps too: the objective written out a second time agrees.
    torch.testing.assert_close(
        result.loss_start,
        objective(generator, generator.mean_w.expand(4, 3, 4), targets, settings),
        rtol=1e-5,
        atol=1e-6,
    )
    assert (objective(generator, result.wplus, targets, settings) < 0.1 * result.loss_start).all()


def test_the_trace_and_the_image_are_those_of_the_full_generator(generator, targets):
    result = invert(targets, generator=generator, head=faulty_head, perceptual=toy_distance(), settings=SETTINGS)
    torch.testing.assert_close(result.image, generator.synthesise(result.wplus), rtol=1e-5, atol=1e-5)
    distance = toy_distance()(result.image, targets)
    for face in range(4):
        k = result.trace.step.tolist().index(int(result.best_step[face]))
        assert result.trace.perceptual[k, face] == pytest.approx(float(distance[face]), rel=1e-4)
        mse = (result.image[face] - targets[face]).square().mean()
        assert result.trace.mse_unit[k, face] == pytest.approx(float(mse), rel=1e-4)
    assert (result.trace.seconds_per_face.diff() > 0).all()


def test_converged_faces_leave_and_change_nothing_for_the_others(generator, targets):
    """The first face starts at its solution and has nothing to gain; the others have."""
    start = toy_codes(4, seed=2)
    start[0] = toy_codes(4, seed=1)[0]
    settings = dataclasses.replace(SETTINGS, stop_below=0.05, prior_weight=0.0)

    def run(rows: slice):
        return invert(
            targets[rows],
            generator=generator,
            head=faulty_head,
            perceptual=toy_distance(),
            settings=settings,
            encoder=lambda images: start[rows],
        )

    together = run(slice(None))
    assert together.steps_run[0] == 8  # no gain from 0 to 4, at rest until 8
    assert (together.steps_run[1:] > 8).all()
    assert not together.diverged.any()
    assert together.trace.perceptual[-1, 0].isnan()
    assert together.trace.perceptual[0].isfinite().all()
    alone = torch.cat([run(slice(k, k + 1)).wplus for k in range(4)])
    torch.testing.assert_close(together.wplus, alone, rtol=0, atol=4e-3)


def test_without_a_head_faces_leave_by_their_progress_over_stretches(generator, targets):
    """Every step is rated there; the first ones of the warm-up gain little and must end nothing."""
    settings = dataclasses.replace(SETTINGS, stop_below=0.05, prior_weight=0.0, warmup_fraction=0.5, steps=64)
    result = invert(targets, generator=generator, perceptual=toy_distance(), settings=settings)
    assert (result.trace.perceptual[1] > 0.95 * result.trace.perceptual[0]).any(), "a step alone gains too little"
    assert (result.steps_run > 16).all()
    assert (result.loss_best < 0.1 * result.loss_start).all()


def test_in_w_all_channels_share_one_code(generator, targets):
    start = toy_codes(4, seed=2)
    settings = dataclasses.replace(SETTINGS, latent="w")
    result = invert(
        targets,
        generator=generator,
        head=faulty_head,
        perceptual=toy_distance(),
        settings=settings,
        encoder=lambda _: start,
    )
    assert result.wplus.shape == (4, 3, 4)
    assert torch.equal(result.wplus, result.wplus[:, :1].expand(-1, 3, -1))
    assert (result.loss_best < result.loss_start).all()
    unmoved = dataclasses.replace(settings, steps=0)
    started = invert(
        targets, generator=generator, perceptual=toy_distance(), settings=unmoved, encoder=lambda _: start
    ).wplus
    torch.testing.assert_close(started, start.mean(1, keepdim=True).expand(-1, 3, -1))


@pytest.mark.parametrize("head", [None, faulty_head])
def test_noise_on_the_codes_follows_the_seed_alone(generator, targets, head):
    def run(seed: int, images: Tensor) -> Tensor:
        settings = dataclasses.replace(SETTINGS, code_noise=0.3, seed=seed)
        found = invert(images, generator=generator, head=head, perceptual=toy_distance(), settings=settings)
        # What is rated is the code, not the noisy one.
        stored = objective(generator, found.wplus, images, settings)
        torch.testing.assert_close(found.loss_best, stored, rtol=1e-5, atol=1e-6)
        return found.wplus

    assert torch.equal(run(1, targets), run(1, targets))
    assert not torch.allclose(run(1, targets), run(2, targets), atol=1e-2)
    torch.testing.assert_close(run(1, targets)[2:3], run(1, targets[2:3]), rtol=0, atol=4e-3)


def test_the_in_domain_term_pulls_codes_to_what_the_encoder_reads(generator, targets):
    home = toy_codes(4, seed=5)

    def away(weight: float) -> Tensor:
        settings = dataclasses.replace(SETTINGS, in_domain_weight=weight)
        found = invert(
            targets,
            generator=generator,
            head=faulty_head,
            perceptual=toy_distance(),
            settings=settings,
            encoder=lambda _: home,
        ).wplus
        return ((found - home) / generator.std_w).square().mean()

    assert away(100.0) < 0.1 * away(0.0)
    with pytest.raises(ValueError, match="needs an encoder"):
        invert(
            targets,
            generator=generator,
            perceptual=toy_distance(),
            settings=dataclasses.replace(SETTINGS, in_domain_weight=1.0),
        )


def test_the_in_domain_gradient_passes_through_the_encoder(generator, targets):
    """An encoder that reads nothing but the image's mean, so that images alone can bring the term down."""

    def read(images: Tensor) -> Tensor:
        return generator.mean_w + images.mean(dim=(1, 2, 3))[:, None, None] * torch.ones(3, 4)

    def term(weight: float) -> Tensor:
        settings = dataclasses.replace(SETTINGS, in_domain_weight=weight, mse_weight=0.0, steps=64)
        found = invert(targets, generator=generator, perceptual=toy_distance(), settings=settings, encoder=read)
        away = (read(found.image) - found.wplus) / generator.std_w
        return away.square().mean()

    assert term(1.0) < 0.2 * term(0.0)


class _BreaksFarOut(ToyGenerator):
    """Gives NaN for codes whose first number passes a limit; the gradient before is sound."""

    limit = 0.58

    def synthesise(self, w_plus: Tensor) -> Tensor:
        broken = w_plus[:, :1, :1, None] > self.limit  # [N, 1, 1, 1]
        return torch.where(broken, torch.nan, super().synthesise(w_plus))


def test_a_face_that_diverges_is_frozen_at_its_best_and_touches_no_other(targets):
    settings = dataclasses.replace(SETTINGS, steps=15)

    def run(generator: ToyGenerator):
        return invert(targets, generator=generator, perceptual=toy_distance(), settings=settings)

    sound, broken = run(ToyGenerator()), run(_BreaksFarOut())
    crossed = broken.diverged
    assert 0 < crossed.sum() < 4
    assert torch.equal(sound.wplus[~crossed], broken.wplus[~crossed])
    assert torch.equal(sound.best_step[~crossed], broken.best_step[~crossed])
    assert broken.wplus.isfinite().all()
    assert broken.loss_best.isfinite().all()
    assert (broken.wplus[crossed, 0, 0] <= _BreaksFarOut.limit).all()
    assert (broken.best_step[crossed] < 15).all()
    torch.testing.assert_close(
        broken.loss_best[crossed],
        objective(ToyGenerator(), broken.wplus, targets, settings)[crossed],
        rtol=1e-5,
        atol=1e-6,
    )


def test_a_face_that_cannot_be_rated_at_all_keeps_its_start(targets):
    class AlwaysBroken(ToyGenerator):
        def synthesise(self, w_plus: Tensor) -> Tensor:
            return super().synthesise(w_plus) * torch.nan

    result = invert(targets, generator=AlwaysBroken(), perceptual=toy_distance(), settings=SETTINGS)
    assert result.diverged.all()
    assert result.best_step.tolist() == [0, 0, 0, 0]
    torch.testing.assert_close(result.wplus, ToyGenerator().mean_w.expand(4, 3, 4))
    assert not result.loss_best.isfinite().any()


def test_works_for_a_caller_in_inference_mode(generator, targets):
    expected = invert(targets, generator=generator, perceptual=toy_distance(), settings=SETTINGS).wplus
    distance = toy_distance()
    with torch.inference_mode():
        got = invert(targets.clone(), generator=generator, perceptual=distance, settings=SETTINGS).wplus
    assert torch.equal(got, expected)


def test_bfloat16_stays_close_and_stores_float32(generator, targets):
    settings = dataclasses.replace(SETTINGS, autocast_bf16=True)
    result = invert(targets, generator=generator, head=faulty_head, perceptual=toy_distance(), settings=settings)
    assert result.wplus.dtype == torch.float32
    assert result.loss_best.dtype == torch.float32
    # Eight bits of mantissa: images differ by up to 1 %; a lost cast or a broken gradient would stay near the start.
    assert (objective(generator, result.wplus, targets, settings) < 0.1 * result.loss_start).all()


def test_steps_are_told(generator, targets):
    told = []
    settings = dataclasses.replace(SETTINGS, steps=3)
    invert(
        targets,
        generator=generator,
        perceptual=toy_distance(),
        settings=settings,
        on_step=lambda done, n_steps: told.append((done, n_steps)),
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("images", "got"),
    [
        (torch.zeros(4, 3, 128, 128), r"shape \[4, 3, 128, 128\]"),
        (torch.zeros(3, 256, 256), r"shape \[3, 256, 256\]"),
        (torch.zeros(0, 3, 256, 256), r"shape \[0, 3, 256, 256\]"),
        (torch.zeros(1, 3, 256, 256, dtype=torch.uint8), "torch.uint8"),
        (torch.zeros(1, 3, 256, 256, dtype=torch.float64), "torch.float64"),
        (torch.full((1, 3, 256, 256), torch.nan), "NaN or infinity"),
        (torch.full((1, 3, 256, 256), 255.0), "values from 255 to 255"),
    ],
)
def test_wrong_images_are_named(generator, images, got):
    with pytest.raises(ValueError, match=rf"expected images as float32 \[N, 3, 256, 256\].*got {got}"):
        invert(images, generator=generator, perceptual=toy_distance(), settings=SETTINGS)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (torch.zeros(4, 2, 4), r"expected codes of shape \[4, 3, 4\], got \[4, 2, 4\]"),
        (torch.full((4, 3, 4), torch.inf), "expected finite codes"),
    ],
)
def test_wrong_codes_of_an_encoder_are_named(generator, targets, codes, message):
    with pytest.raises(ValueError, match=message):
        invert(targets, generator=generator, perceptual=toy_distance(), settings=SETTINGS, encoder=lambda _: codes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", -1),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("mse_weight", -0.1),
        ("prior_weight", math.inf),
        ("warmup_fraction", 1.1),
        ("decay_fraction", -0.1),
        ("correct_every", 0),
        ("coarse_fraction", 1.5),
        ("stop_below", -0.1),
        ("in_domain_weight", -1.0),
        ("code_noise", math.nan),
    ],
)
def test_settings_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=f"expected {name} .*got {value}"):
        dataclasses.replace(SETTINGS, **{name: value})


def test_an_unknown_latent_is_named():
    with pytest.raises(ValueError, match="expected latent 'w\\+' or 'w', got 'z'"):
        dataclasses.replace(SETTINGS, latent="z")


def rates(n_steps: int, *, rise: float, fall: float) -> list[float]:
    end, fall_steps = torch.tensor([n_steps]), torch.tensor([fall * n_steps])
    told = [learning_rate_factor(k, rise_steps=rise * n_steps, end=end, fall_steps=fall_steps) for k in range(n_steps)]
    return [float(factor) for factor in told]


def test_learning_rate_rises_stays_and_falls():
    factors = rates(100, rise=0.1, fall=0.3)
    assert factors[:10] == pytest.approx([(k + 0.5) / 10 for k in range(10)])
    assert factors[10:70] == [1.0] * 60
    # Half of the way down, the cosine is at one half: between steps 84 and 85.
    assert (factors[84] + factors[85]) / 2 == pytest.approx(0.5)
    assert all(a > b > 0 for a, b in itertools.pairwise(factors[70:]))


def test_every_step_moves_however_short_the_run():
    for n_steps in (1, 2, 5):
        assert all(0 < factor <= 1 for factor in rates(n_steps, rise=1.0, fall=1.0))
    assert rates(1, rise=0.0, fall=0.0) == [1.0]


def test_each_face_falls_to_its_own_end():
    factors = learning_rate_factor(5, rise_steps=0.0, end=torch.tensor([6, 10]), fall_steps=torch.tensor([4.0, 4.0]))
    assert factors[0] == pytest.approx(0.5 * (1 - math.cos(math.pi * 0.125)))
    assert factors[1] == 1.0


def test_efforts_are_ordered():
    assert [EFFORTS[name].steps for name in ("encoder", "fast", "paper", "max")] == [0, 5, 100, 1000]
    assert effort("paper", steps=7) == dataclasses.replace(EFFORTS["paper"], steps=7)
