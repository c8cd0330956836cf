"""From a configuration to objects.

Besides the verbs and `soke.config`, only this package, `soke.signer` and `soke.cli` read a
configuration: the verbs share them, so that each of them stays a page. Everything below takes
explicit arguments.
"""

from soke.assemble.data import (
    claim_code_folder,
    clip_source,
    code_folder,
    corpora,
    corpus_table,
    length_limits,
    list_or_open,
    odd_statistics,
    open_packed,
    part_table,
    pose_data,
    pose_dataset,
    pose_loader,
    prompt_builder,
    read_clips,
    read_signs,
    report_data,
    text_builder,
    token_data,
    vocabulary,
)
from soke.assemble.models import (
    body_model,
    generator_module,
    text_decoder,
    text_module,
    tokenizer_module,
    trained_tokenizer,
)
from soke.assemble.process import (
    check_new_run,
    device,
    prepare_process,
    processes,
    run_directory,
)
from soke.assemble.trainer import trainer

__all__ = [
    "body_model",
    "check_new_run",
    "claim_code_folder",
    "clip_source",
    "code_folder",
    "corpora",
    "corpus_table",
    "device",
    "generator_module",
    "length_limits",
    "list_or_open",
    "odd_statistics",
    "open_packed",
    "part_table",
    "pose_data",
    "pose_dataset",
    "pose_loader",
    "prepare_process",
    "processes",
    "prompt_builder",
    "read_clips",
    "read_signs",
    "report_data",
    "run_directory",
    "text_builder",
    "text_decoder",
    "text_module",
    "token_data",
    "tokenizer_module",
    "trained_tokenizer",
    "trainer",
    "vocabulary",
]
