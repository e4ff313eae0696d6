"""The picture encoder with its norms folded in says what the wheel's own network says."""

from __future__ import annotations

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import nn

from pipelines.folded import folded


def test_the_folded_network_gives_the_same_features_without_a_single_norm():
    torch.manual_seed(0)
    network = EfficientNet.from_name("efficientnet-lite0").eval()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):  # as after a training, not as new
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, 0, 0.1)
    pictures = torch.rand(2, 3, 65, 96)  # odd and even sides are padded differently
    with torch.inference_mode():
        before = network.extract_features(pictures)
        after = folded(network).extract_features(pictures)
    assert before.std() > 0
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4 * float(before.abs().max()))
    assert not [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
