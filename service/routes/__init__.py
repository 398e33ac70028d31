"""HTTP routes: one file a resource, each a function from the service to a router."""
