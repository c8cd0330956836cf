"""Lightning modules, optimizers, callbacks, checkpoints."""
