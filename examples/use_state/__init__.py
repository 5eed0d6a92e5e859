"""A retention model of users: trained here, run by user_state.sequence_models from a file of weights."""
