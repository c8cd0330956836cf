"""How a verb ends when it is told to."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from soke.cli.main import run_verb

ROOT = Path(__file__).parents[1]
TRAINING = """
    import sys
    import lightning as L
    import torch

    class Module(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch, index):
            if index == 0:
                print("ready", flush=True)
            return self.layer(batch).sum()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.0)

    class Told(L.Callback):
        def on_exception(self, trainer, module, exception):
            print("ended by", type(exception).__name__, flush=True)

    def main():
        trainer = L.Trainer(
            accelerator="cpu", max_epochs=10**6, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, callbacks=[Told()],
        )
        trainer.fit(Module(), torch.utils.data.DataLoader(torch.zeros(8, 1)))
"""
WRITING = """
    import time
    from soke.files import atomic_path

    def main():
        with atomic_path(sys.argv[1]) as path:
            path.write_text("half")
            print("ready", flush=True)
            time.sleep(60)
"""
FORKING = """
    import os, signal, time

    def main():
        child = os.fork()
        if not child:
            try:
                time.sleep(60)
            finally:
                print("the child cleaned up", flush=True)
        time.sleep(0.5)
        os.kill(child, signal.SIGTERM)
        print("child", os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)
        print("ready", flush=True)
        time.sleep(60)
"""


def terminated(code, *arguments):
    """What a verb prints that gets SIGTERM when it is ready, and its exit code."""
    code = (
        f"import sys\n{textwrap.dedent(code)}\nfrom soke.cli.main import run_verb; run_verb(main)"
    )
    command = [sys.executable, "-c", code, *map(str, arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    before = ""
    while "ready" not in before:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        before += line
    process.send_signal(signal.SIGTERM)
    after, _ = process.communicate(timeout=60)
    return before + after, process.returncode


def test_sigterm_removes_temporary_files(tmp_path):
    _, code = terminated(WRITING, tmp_path / "x.txt")
    assert code == 143 and list(tmp_path.iterdir()) == []


def test_sigterm_ends_a_training_the_way_of_lightning():
    said, code = terminated(TRAINING)
    assert code == 143 and "ended by SIGTERMException" in said


def test_a_forked_worker_dies_of_sigterm_at_once():
    said, code = terminated(FORKING)
    assert code == 143 and f"child {signal.SIGTERM.value}" in said and "cleaned up" not in said


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("x"), 1),
        (FileNotFoundError("x"), 1),
        (KeyboardInterrupt(), 130),
        (SystemExit(2), 2),
    ],
)
def test_exit_codes(error, code):
    before = signal.getsignal(signal.SIGTERM)

    def main():
        raise error

    with pytest.raises(SystemExit) as end:
        run_verb(main)
    assert end.value.code == code
    assert signal.getsignal(signal.SIGTERM) is before
