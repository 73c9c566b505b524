"""Is loading the bottleneck of a training with Lightning? A callback that observes its loaders.

pip install lightning
python examples/observe_lightning.py
"""

from __future__ import annotations

import time

import lightning
import torch
from torch.utils.data import DataLoader, Dataset

from lossimpl.loading import observe


class ObserveLoading(lightning.Callback):
    """Observes the loaders of a `Trainer`, as its strategy has prepared them, and prints what loading costs."""

    def __init__(self) -> None:
        self.observed = []

    def setup(self, trainer, module, stage) -> None:
        prepare = trainer.strategy.process_dataloader

        def observed_loader(loader):
            self.observed.append(observe(prepare(loader), say=False))
            return self.observed[-1]

        trainer.strategy.process_dataloader = observed_loader

    def on_train_end(self, trainer, module) -> None:
        for one in self.observed:
            print(one.report())


class Pictures(Dataset):
    """Samples that take five milliseconds each."""

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index):
        time.sleep(0.005)
        return torch.randn(8), torch.tensor(index % 2)


class Classifier(lightning.LightningModule):
    """One linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 2)

    def training_step(self, batch, number):
        inputs, labels = batch
        return torch.nn.functional.cross_entropy(self.layer(inputs), labels)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def main() -> None:
    """Two epochs on the processor."""
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(max_epochs=2, accelerator="cpu", callbacks=[ObserveLoading()], **options)
    trainer.fit(Classifier(), DataLoader(Pictures(), batch_size=8))


if __name__ == "__main__":
    main()
