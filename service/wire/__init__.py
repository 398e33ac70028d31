"""The service's own wire format: JSON bytes to samples, results to JSON bytes. pydantic lives here and in settings."""
