"""What a shape takes in device hours; the model itself is `gemstones.timing`."""
