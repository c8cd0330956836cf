"""Motion to tokens and back, one VQ-VAE a part."""
