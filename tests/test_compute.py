from labkit.compute import Meter


def test_training_costs_6nd_and_inference_2nd():
    # 10 parameters: 6 x 10 x 100 tokens trained, 2 x 10 x 30 tokens read or sampled.
    meter = Meter(10, trained_tokens=100, sampled_tokens=30)
    assert (meter.training_flops, meter.inference_flops, meter.flops) == (6000, 600, 6600)
    assert Meter(**meter.state()) == meter
