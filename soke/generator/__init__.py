"""Text to tokens: vocabulary, prompts, multi-head mBART, decoding."""
