from torch import nn

from labkit.compute import Meter


def test_training_costs_6nd_and_inference_2nd():
    # 10 parameters: 6 x 10 x 100 tokens trained, 2 x 10 x 30 tokens read or sampled.
    meter = Meter(10, trained_tokens=100, sampled_tokens=30)
    assert (meter.training_flops, meter.inference_flops, meter.flops) == (6000, 600, 6600)
    assert Meter(**meter.state()) == meter


def test_weights_that_do_not_move_have_no_gradient_to_be_made():
    # 10 parameters of which 3 move: (2 + 2) x 10 x 100 + 2 x 3 x 100; reading costs what it did.
    meter = Meter(10, trained_tokens=100, sampled_tokens=30, moving=3)
    assert (meter.training_flops, meter.inference_flops) == (4600, 600)
    assert Meter(10, trained_tokens=100, moving=10).flops == Meter(10, trained_tokens=100).flops
    assert Meter(**meter.state()) == meter


def test_a_models_meter_knows_what_moves():
    frozen, moving = nn.Linear(4, 2), nn.Linear(2, 3)
    frozen.requires_grad_(False)
    # 4 x 2 + 2 = 10 and 2 x 3 + 3 = 9.
    meter = Meter.of(nn.Sequential(frozen, moving))
    assert (meter.parameters, meter.moving, meter.flops) == (19, 9, 0)
    # Tied weights count once: 9, and two biases of 3.
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    tied[1].weight = tied[0].weight
    assert Meter.of(tied).parameters == 9 + 3 + 3
