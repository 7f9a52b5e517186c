"""What the tests of the bridge share."""
