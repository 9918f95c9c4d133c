"""Pure numeric kernels. Empty on purpose: importing this package imports neither numpy nor numba."""
