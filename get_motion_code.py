"""Write the motion tokens of every clip, and of the isolated signs as the sign dictionary."""

from __future__ import annotations

import logging
import shutil

from rich.progress import track

from soke import build
from soke.config import DEBUG_CLIPS, parse_command_line
from soke.data.tokens import claim_folder, token_path, write_tokens
from soke.files import checksum
from soke.retrieval import SignDictionary
from soke.run import run_verb
from soke.tokenizer import encode_batches

log = logging.getLogger("get_motion_code")


def main() -> None:
    config, _ = parse_command_line(__doc__)
    build.prepare_process(config)
    tokenizer, folder = build.trained_tokenizer(config), build.code_folder(config)
    if config.DEBUG:
        shutil.rmtree(folder, ignore_errors=True)
    claim_folder(folder, checksum(config.TRAIN.PRETRAINED_VAE))
    device, size = build.device(config), config.TEST.BATCH_SIZE
    workers = config.TEST.NUM_WORKERS

    splits = dict.fromkeys((config.TRAIN.SPLIT, config.EVAL.SPLIT, config.TEST.SPLIT))
    clips = [clip for split in splits for clip in build.read_clips(config, split)]
    left = [c for c in clips if not token_path(folder, c.corpus, c.name).exists()]
    log.info("%d of %d clips have their tokens in %s", len(clips) - len(left), len(clips), folder)
    loader = build.pose_loader(build.pose_dataset(config, left, tokenizer), size, workers)
    batches = track(loader, "clips to tokens", disable=not left)
    for corpus, name, tokens in encode_batches(tokenizer, batches, device):
        write_tokens(token_path(folder, corpus, name), tokens)

    for corpus in build.corpora(config).values():
        signs = build.read_signs(config, corpus)[: DEBUG_CLIPS if config.DEBUG else None]
        if not signs:
            continue
        loader = build.pose_loader(build.pose_dataset(config, signs, tokenizer), size, workers)
        encoded = encode_batches(tokenizer, loader, device)
        entries = {sign.label: tokens for sign, (_, _, tokens) in zip(signs, encoded)}
        SignDictionary(entries).save(corpus.dictionary, tokenizer.parts)
        log.info("%d signs in %s", len(entries), corpus.dictionary)


if __name__ == "__main__":
    run_verb(main)
