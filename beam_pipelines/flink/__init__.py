"""Running on Flink: checking a cluster, submitting to it, watching it, stopping it, and the pool its workers come from.

worker_pool   starts the Python processes that a TaskManager asks for; runs beside each TaskManager
cluster       a cluster's REST interface: what is there, how a job fares
options       sane settings -> Beam's options
job           submit, watch, drain, account: `user-state run --runner flink`
"""
