"""One, two, three and four parts are configurations of the same code."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from soke.config import check_params, load_config, plain
from soke.parts import PartTable
from soke.tokenizer import QUANTIZERS, PartTokenizer
from soke.tokenizer.quantizers.levels import scalar_levels, stage_levels
from tests.tokenizer.models import THREE_PARTS, clips_of, padded, tokenizer_of, train_step

CONFIGS = Path(__file__).parents[2] / "configs"
NAMES = ("one", "two", "three", "four")


def table(name):
    return PartTable.from_rows(plain(OmegaConf.load(CONFIGS / "parts" / f"{name}.yaml").PARTS))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", QUANTIZERS)
def test_every_table_from_yaml_alone(tmp_path, name, kind):
    path = tmp_path / "run.yaml"
    bases = ["default.yaml", "tokenizer/small.yaml", f"parts/{name}.yaml"]
    path.write_text(
        f"BASES: {[str(CONFIGS / base) for base in bases]}\nNAME: parts\n"
        f"model: {{tokenizer: {{params: {{width: 8, code_dim: 8, quantizer: {kind}}}}}}}\n"
    )
    config = load_config(path)
    parts = PartTable.from_rows(plain(config.PARTS))
    assert parts == table(name) and len(parts) == NAMES.index(name) + 1
    node = config.model.tokenizer
    params = plain(node.params)
    tokenizer = check_params(node.target, params)(parts, **params).train()
    assert isinstance(tokenizer, PartTokenizer)
    _, output = train_step(tokenizer, torch.optim.AdamW(tokenizer.parameters()), clips_of([16, 8]))
    assert output.tokens.shape == (2, 4, len(parts))
    motion, _ = padded(clips_of([16, 8]))
    tokens = tokenizer.eval().encode(motion, [16, 8])
    for p, part in enumerate(parts):
        assert tokens[..., p].max() < part.codebook_size
    assert tokenizer.decode(tokens, [4, 2]).shape == (2, 16, 133)


@pytest.mark.parametrize("name", NAMES)
def test_every_table_suits_every_quantizer_and_the_generator(name):
    parts = table(name)
    for part in parts:
        assert scalar_levels(part.codebook_size) and stage_levels(part.codebook_size)
    assert sum(parts.fusion_weights) == pytest.approx(1)
    assert len({part.token_prefix for part in parts}) == len(parts)


def test_the_default_table_has_three_parts():
    assert PartTable.from_rows(plain(load_config(CONFIGS / "deto.yaml").PARTS)) == table("three")


def test_motion_goes_through_its_own_part_only():
    tokenizer = tokenizer_of(rows=[*table("four").to_rows()]).eval()
    for network in tokenizer.networks:
        torch.nn.init.normal_(network.quantizer.codebook, std=0.1)
    motion = torch.randn(1, 32, 133)
    before = tokenizer.encode(motion)
    for p, part in enumerate(tokenizer.parts):
        changed = motion.clone()
        changed[..., part.indices] = torch.randn(1, 32, part.size) * 5
        differs = (tokenizer.encode(changed) != before).any(dim=1)[0]
        assert differs.tolist() == [i == p for i in range(len(tokenizer.parts))]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([[0, 31], [120, 133]], "column 30 belongs to part 'body' and to 'lhand'"),
        ([[0, 30], [121, 133]], r"no part covers the feature columns \[120\]"),
    ],
)
def test_overlaps_and_gaps_are_named(columns, message):
    with pytest.raises(ValueError, match=message):
        tokenizer_of(rows=[{**THREE_PARTS[0], "columns": columns}, *THREE_PARTS[1:]])


def test_configured_levels_are_plain_lists():
    config = load_config(
        CONFIGS / "deto.yaml",
        [
            "model.tokenizer.params.quantizer=fsq",
            "model.tokenizer.params.levels.body=[8,4,3]",
            "model.tokenizer.params.width=8",
            "model.tokenizer.params.code_dim=8",
        ],
    )
    params = plain(config.model.tokenizer.params)
    tokenizer = PartTokenizer(PartTable.from_rows(plain(config.PARTS)), **params)
    levels = [network.quantizer.levels for network in tokenizer.networks]
    assert levels == [(8, 4, 3), (8, 6, 4), (8, 6, 4)]
