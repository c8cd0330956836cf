"""Train the tokenizer, the generator or the text decoder, as TRAIN.STAGE says."""

from __future__ import annotations

from omegaconf import OmegaConf

from soke import assemble as build
from soke.cli.main import run_verb
from soke.config import parse_command_line
from soke.files import atomic_path
from soke.training.checkpoints import last_checkpoint


def main() -> None:
    config, _ = parse_command_line(__doc__)
    build.prepare_process(config)
    build.check_new_run(config)
    resume = None
    if config.TRAIN.RESUME:
        resume, _ = last_checkpoint(config.TRAIN.RESUME, config.TRAIN.END_EPOCH)
    if config.TRAIN.STAGE == "vae":
        module = build.tokenizer_module(config)
        data = build.pose_data(config, module.tokenizer)
    elif config.TRAIN.STAGE == "m2t":
        texts = build.text_builder(config)
        data, module = build.token_data(config, texts), build.text_module(config, texts.vocabulary)
    else:
        prompts = build.prompt_builder(config)
        data, module = build.token_data(config, prompts), build.generator_module(config, prompts)
    with atomic_path(build.run_directory(config) / "config.yaml") as path:
        OmegaConf.save(config, path)
    trainer = build.trainer(config, module, data)
    trainer.fit(module, data, ckpt_path=resume, weights_only=True)


if __name__ == "__main__":
    run_verb(main)
