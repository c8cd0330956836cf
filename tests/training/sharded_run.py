"""A training of a small generator by two processes, for `test_sharding`.

    python -m tests.training.sharded_run STRATEGY CLIPS FOLDER EPOCHS [CHECKPOINT]

On a CPU torch's FSDP has to be told the device, and gives its weights back before it has copied
them when it is asked to move them to the CPU: both are done here, where GPUs are stood in for.
"""

import json
import os
import pickle
import sys
from functools import partial
from pathlib import Path

import lightning as L
import lightning.pytorch.strategies.fsdp as lightning_fsdp
import torch
from lightning.pytorch.strategies import DDPStrategy
from torch.distributed.fsdp import (
    FullOptimStateDictConfig,
    FullStateDictConfig,
    FullyShardedDataParallel,
    StateDictType,
)

from soke.training.callbacks import EpochSeed, checkpoint_callbacks
from soke.training.run_checkpoints import AtomicCheckpointIO
from soke.training.sharding import GatherForValidation, ShardedStrategy
from soke.training.start_report import StartReport
from tests.training.test_resume import configure_for, generator_run


class OnCPU(ShardedStrategy):
    def _setup_model(self, model):
        return FullyShardedDataParallel(
            model,
            device_id=torch.device("cpu"),
            mixed_precision=self.mixed_precision_config,
            sharding_strategy=self.sharding_strategy,
            **self.kwargs,
        )


def whole_state(module, world_size, rank0_only=True):
    return FullyShardedDataParallel.state_dict_type(
        module,
        StateDictType.FULL_STATE_DICT,
        FullStateDictConfig(offload_to_cpu=False, rank0_only=False),
        FullOptimStateDictConfig(offload_to_cpu=False, rank0_only=False),
    )


def main(strategy, clips, folder, epochs, resume=None):
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    clips = pickle.loads(Path(clips).read_bytes())
    own = folder / os.environ.get("LOCAL_RANK", "0")
    module, data = generator_run(clips, own, dropout=0.0)
    module.configure_optimizers = partial(configure_for, module, 20)
    if strategy == "fsdp":
        lightning_fsdp._get_full_state_dict_context = whole_state
        layers = {type(layer) for layer in module.network.layers}
        strategy = OnCPU(layers, process_group_backend="gloo")
    else:
        strategy = DDPStrategy(broadcast_buffers=False, gradient_as_bucket_view=True)
    trainer = L.Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        devices=2,
        strategy=strategy,
        max_epochs=int(epochs),
        logger=False,
        enable_progress_bar=False,
        gradient_clip_val=0.5,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        plugins=[AtomicCheckpointIO()],
        callbacks=[
            StartReport(),
            EpochSeed(7),
            GatherForValidation(),
            *checkpoint_callbacks(folder, "val/DTW_JPE_hands"),
        ],
    )
    trainer.fit(module, data, ckpt_path=resume, weights_only=True)
    if trainer.is_global_zero:
        scores = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val")}
        (folder / "scores.json").write_text(json.dumps(scores))


if __name__ == "__main__":
    main(*sys.argv[1:])
