"""Training of a network's head with connectionist temporal classification, on a frozen encoder."""
