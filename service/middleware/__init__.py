"""What surrounds every route: request ids, the access line, metrics of requests, errors as replies."""
