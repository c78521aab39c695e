"""What 'auto' leads to."""

from __future__ import annotations

import pytest
import torch

from pipeline import runinfo


@pytest.mark.parametrize("instruction", ["avx512_bf16", "amx_bf16", "bf16"])
def test_auto_takes_bf16_only_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch, instruction: str) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, instruction: True})
    assert runinfo.pick_precision("auto", "cpu") == "bf16"
    assert runinfo.pick_precision("fp32", "cpu") == "fp32"
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, instruction: False})
    assert runinfo.pick_precision("auto", "cpu") == "fp32"
    assert runinfo.pick_precision("bf16", "cpu") == "bf16"


def test_auto_is_fp32_where_torch_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert runinfo.pick_precision("auto", "cpu") == "fp32"
