"""Train the tokenizer, the generator or the text decoder, whichever TRAIN.STAGE names."""

from __future__ import annotations

from soke.config import parse_command_line


def main() -> None:
    config, _ = parse_command_line(__doc__)
    from omegaconf import OmegaConf

    from soke import assemble
    from soke.files import atomic_path
    from soke.training.run_checkpoints import last_checkpoint

    assemble.prepare_process(config)
    assemble.check_new_run(config)
    resume = None
    if config.TRAIN.RESUME:
        resume, _ = last_checkpoint(config.TRAIN.RESUME, config.TRAIN.END_EPOCH)
    if config.TRAIN.STAGE == "vae":
        module = assemble.tokenizer_module(config)
        data = assemble.pose_data(config, module.tokenizer)
    elif config.TRAIN.STAGE == "m2t":
        texts = assemble.text_builder(config)
        data = assemble.token_data(config, texts)
        module = assemble.text_module(config, texts.vocabulary)
    else:
        prompts = assemble.prompt_builder(config)
        data = assemble.token_data(config, prompts)
        module = assemble.generator_module(config, prompts)
    with atomic_path(assemble.run_directory(config) / "config.yaml") as path:
        OmegaConf.save(config, path)
    trainer = assemble.trainer(config, module, data)
    trainer.fit(module, data, ckpt_path=resume, weights_only=True)
