"""The parts of `service.scorer`: what is wrong with a sample, its response type, its grade tasks, its result."""
