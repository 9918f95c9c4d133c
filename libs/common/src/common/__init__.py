"""What every Ballast service shares: nouns, messages, kernels and the runtime around the pure cores."""
