"""What takes more than one step, as generators, written once for both façades."""
