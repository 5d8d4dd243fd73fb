"""Gradients of many tasks and the update made of them: the only code that calls autograd."""
