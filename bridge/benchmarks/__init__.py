"""What the bridge costs, beside a floor in the same rounds: `make bridge-bench`."""
