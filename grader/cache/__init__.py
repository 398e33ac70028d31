"""Where grades are kept: in the process (`memory`), and shared between replicas (`redis`, behind `breaker`).

Values are filed under a key (a conversation, under one grader) and a field (a proposition). Nothing here knows what a
value is: a `base.Codec` turns it into bytes, so that other models' scores are kept by the same machinery.
"""
