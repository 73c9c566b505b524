"""Fused kernels of the losses, imported only on demand: `cpp` for CPU, `triton` for CUDA; `contract` for both."""
