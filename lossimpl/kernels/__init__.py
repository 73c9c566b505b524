"""Fused kernels of the losses, imported only when asked for: `cpp` for CPU, `triton` for CUDA."""
