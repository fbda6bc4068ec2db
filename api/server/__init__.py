"""The API: what chain and store tell about studies, and a way for signed messages to a relayer.

`app` makes the application, `border` is what every request passes, `workers` run the blocking
reads, `problems` are the errors; one module per resource. `serving` runs it as a process.
"""
