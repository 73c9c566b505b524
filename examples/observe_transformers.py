"""Is loading the bottleneck of a training with the Trainer of Hugging Face? A callback that observes its loader.

pip install transformers accelerate
python examples/observe_transformers.py
"""

from __future__ import annotations

import tempfile
import time

import torch
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from lossimpl.loading import observe


class ObserveLoading(TrainerCallback):
    """Observes the training loader of a `Trainer`, and prints what loading costs when the training ends.

    A callback is given the loader but cannot replace it, so the trainer's own method is wrapped.
    """

    def __init__(self, trainer: Trainer) -> None:
        make, self.observed = trainer.get_train_dataloader, None

        def observed_loader():
            self.observed = observe(make(), say=False)
            return self.observed

        trainer.get_train_dataloader = observed_loader

    def on_train_end(self, args, state, control, **kwargs) -> None:
        print(self.observed.report())


class Pictures(Dataset):
    """Samples that take five milliseconds each."""

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index):
        time.sleep(0.005)
        return {"inputs": torch.randn(8), "labels": torch.tensor(index % 2)}


class Classifier(torch.nn.Module):
    """One linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 2)

    def forward(self, inputs, labels):
        return {"loss": torch.nn.functional.cross_entropy(self.layer(inputs), labels)}


def main() -> None:
    """Two epochs on the processor."""
    with tempfile.TemporaryDirectory() as folder:
        options = {"report_to": "none", "save_strategy": "no", "disable_tqdm": True, "use_cpu": True}
        arguments = TrainingArguments(folder, num_train_epochs=2, per_device_train_batch_size=8, **options)
        trainer = Trainer(Classifier(), arguments, train_dataset=Pictures())
        trainer.add_callback(ObserveLoading(trainer))
        trainer.train()


if __name__ == "__main__":
    main()
