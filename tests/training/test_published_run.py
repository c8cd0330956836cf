"""A generator with the original key names is used by the verbs like one of our own."""

import pytest
import torch

from soke.assemble.modules import generator_module
from soke.assemble.prompting import prompt_builder
from soke.assemble.run import Run
from soke.config import load_config
from soke.generator import MultiHeadGenerator, generate, read_config
from soke.generator.mbart.weights import Weights
from soke.structures import TokenSample
from soke.training.run_checkpoints import load_weights
from tests.runs import small_run


class Unknown:
    """Stands for whatever a training pickles beside its tensors."""


@pytest.mark.parametrize("where", ["TEST.CHECKPOINTS", "TRAIN.PRETRAINED"])
def test_published_weights_give_the_same_tokens(tmp_path, where):
    cfg = small_run(tmp_path)
    config = load_config(cfg, debug=False)
    own = Run(config).folder / "checkpoints" / "best.ckpt"
    prompts = prompt_builder(Run(config))
    model = MultiHeadGenerator(prompts.vocabulary, read_config(config.model.generator.folder))
    load_weights(model, own, "generator")
    state = Weights.from_network(model.state_dict()).to_transformers()
    published = {f"lm.language_model.main_lm.{key}": value for key, value in state.items()}
    path = tmp_path / "published.ckpt"
    torch.save({"state_dict": published, "hyper_parameters": Unknown()}, path)
    config = load_config(cfg, [f"{where}={path}"], debug=False)
    named = path if where == "TEST.CHECKPOINTS" else None
    other = generator_module(Run(config), prompts, named).generator.eval()
    batch = prompts([TokenSample("a", "how2sign", "the quick fox")])
    for one, two in zip(generate(model.eval(), batch, 12, 8), generate(other, batch, 12, 8)):
        assert torch.equal(one, two)
