"""Train the tokenizer, the generator or the text decoder, whichever TRAIN.STAGE names."""

from __future__ import annotations

from soke.config import parse_command_line


def main() -> None:
    config, _ = parse_command_line(__doc__)
    from omegaconf import OmegaConf

    from soke.assemble.modules import generator_module, text_module, tokenizer_module
    from soke.assemble.process import check_new_run, open_run
    from soke.assemble.prompting import prompt_builder, text_builder
    from soke.assemble.trainer import build_trainer
    from soke.assemble.training_data import pose_data, token_data
    from soke.files import atomic_path
    from soke.training.base_module import TrainingModule
    from soke.training.run_checkpoints import last_checkpoint

    run = open_run(config)
    check_new_run(run)
    resume = None
    if run.TRAIN.RESUME:
        resume, _ = last_checkpoint(run.TRAIN.RESUME, run.TRAIN.END_EPOCH)
    if run.TRAIN.STAGE == "vae":
        tokenizer = tokenizer_module(run)
        data = pose_data(run, tokenizer.tokenizer)
        module: TrainingModule = tokenizer
    elif run.TRAIN.STAGE == "m2t":
        texts = text_builder(run)
        data = token_data(run, texts)
        module = text_module(run, texts.vocabulary)
    else:
        prompts = prompt_builder(run)
        data = token_data(run, prompts)
        module = generator_module(run, prompts)
    with atomic_path(run.folder / "config.yaml") as path:
        OmegaConf.save(run.config, path)
    trainer = build_trainer(run, module, data)
    trainer.fit(module, data, ckpt_path=resume, weights_only=True)
