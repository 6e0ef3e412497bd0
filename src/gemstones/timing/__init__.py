"""How long a shape takes on a device: the throughput model, its fit to measured step times, and the shipped one."""
