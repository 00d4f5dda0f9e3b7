"""What several test modules share: test data made by program, small models, checks."""
