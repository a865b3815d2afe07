"""Windows, subject splits, augmentation, datasets and the LightningDataModules."""
