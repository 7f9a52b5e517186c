"""The client: both façades, what they share, the flows and the transports."""
