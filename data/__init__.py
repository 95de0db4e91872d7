"""What a message and its labels are, where they come from, and whether they are fit to train on."""
