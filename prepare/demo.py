"""`make demo`: run the whole system on real recordings, by the commands a researcher would use.

    python -m prepare.demo

Every command is printed before it runs. A step that was finished before is found done, a training
that was interrupted goes on, so the demo can be stopped and started again at any time.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from pathlib import Path

DETO = "configs/demo/deto.yaml"
SOKE = "configs/demo/soke.yaml"
#: The third data set is read and scored, but not trained on (see docs/limits.md).
ALL_SETS = "DATASET.H2S.DATASET_NAME=how2sign_csl_phoenix"
PINYIN = (
    "NAME=demo-deto-csl DATASET.H2S.DATASET_NAME=csl "
    "TEST.CHECKPOINTS=experiments/demo-deto/checkpoints/best.ckpt"
)
TOKENIZER_RUN = Path("experiments/demo-deto")
GENERATOR_RUN = Path("experiments/demo-soke")


def training(cfg: str, run: Path) -> str:
    """The command that trains, or goes on with, a run."""
    resume = f" TRAIN.RESUME={run}" if (run / "checkpoints" / "last.ckpt").exists() else ""
    return f"train --cfg {cfg} --nodebug{resume}"


def commands() -> list[tuple[str, str]]:
    """Name and command of every step."""
    show = f"vis_mesh --cfg {SOKE} --nodebug --html"
    return [
        ("recordings to data sets", "soke fingerspelling"),
        ("poses packed", f"soke pack --cfg {DETO} --nodebug {ALL_SETS}"),
        ("tokenizer: training", training(DETO, TOKENIZER_RUN)),
        ("tokenizer: reconstruction error", f"test --cfg {DETO} --nodebug"),
        (
            "the same on the pinyin set, which the tokenizer never saw",
            f"test --cfg {DETO} --nodebug {PINYIN}",
        ),
        ("motion tokens", f"get_motion_code --cfg {SOKE} --nodebug"),
        ("small mBART", f"soke small-mbart --cfg {SOKE}"),
        ("generator: training", training(SOKE, GENERATOR_RUN)),
        ("generator: evaluation", f"test --cfg {SOKE} --nodebug --task t2m"),
        ("report", "soke report results/demo-soke"),
        ("videos: How2Sign layout", f"{show} --demo_dataset how2sign"),
        ("videos: Phoenix layout", f"{show} --demo_dataset phoenix"),
        ("video of a text", f'{show} --text "hello" --lang en'),
    ]


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    times = []
    for name, command in commands():
        words = ["-m", *shlex.split(command)]
        say(f"\n=== {name}\n$ python {shlex.join(words)}")
        start = time.monotonic()
        code = subprocess.run([sys.executable, *words], check=False).returncode
        if code:
            say(
                f"\nThe step {name!r} ended with an error (exit code {code}). Fix what the message "
                "says and run the demo again; finished steps are skipped."
            )
            sys.exit(code)
        times.append((name, time.monotonic() - start))
    say("\nMinutes of each step:")
    for name, seconds in times:
        say(f"  {seconds / 60:5.1f}  {name}")
    say(f"  {sum(seconds for _, seconds in times) / 60:5.1f}  in all")
    say(
        "\nVideos:      visualize/demo-soke/ (how2sign/, phoenix/, text/)\n"
        "In a browser: visualize/demo-soke/*.html (bodies to turn), "
        "results/demo-soke/report.html (scores)\n"
        "Scores:      results/demo-soke/table.txt, metrics.json, clips.csv; "
        "results/demo-deto/table.txt\n"
        "Logs:        experiments/demo-deto/logs, experiments/demo-soke/logs "
        "(tensorboard --logdir experiments)\n"
        "Your text:   python -m vis_mesh --cfg configs/demo/soke.yaml --nodebug "
        '--text "your word" --lang en\n'
        "Signs to text: python -m train --cfg configs/demo/m2t.yaml --nodebug (a minute)"
    )


if __name__ == "__main__":
    main()
