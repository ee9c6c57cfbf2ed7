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


def test_attention_costs_four_flops_a_pair_and_width_and_thrice_that_in_training():
    meter = Meter(10, width=6)
    meter.train([3, 1])
    meter.read([2], times=2)
    # Pairs of 3 tokens: (1,1) (2,1) (2,2) (3,1) (3,2) (3,3); of 1 token: itself. Of 2 tokens three, read twice.
    assert (meter.trained_tokens, meter.trained_pairs, meter.sampled_tokens, meter.sampled_pairs) == (4, 7, 4, 6)
    assert meter.attention_flops == 4 * 6 * (3 * 7 + 6)
    # The paper's count is as it was.
    assert meter.flops == 60 * 4 + 20 * 4
    assert Meter(**meter.state()) == meter


def test_the_width_is_that_of_all_heads_of_all_layers():
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"vocab_size": 8, "hidden_size": 12, "intermediate_size": 8, "num_hidden_layers": 3}
    config = LlamaConfig(**sizes, num_attention_heads=2, num_key_value_heads=1, head_dim=6)
    assert Meter.of(LlamaForCausalLM(config)).width == 3 * 2 * 6
