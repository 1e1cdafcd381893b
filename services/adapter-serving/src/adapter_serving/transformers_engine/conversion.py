"""Turns the quantised GGUF of the base model into bf16 safetensors and a tokenizer, once."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from adapter_serving.transformers_engine.quiet import quiet

__all__ = ["convert"]


def convert(gguf: Path, target: Path) -> None:
    """Write the model and the tokenizer of ``gguf`` into the folder ``target``; the same bytes every time."""
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
        )
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)
