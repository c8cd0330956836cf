"""From encoded texts to tokens: the loop, its steps, sampling and speculative decoding."""
