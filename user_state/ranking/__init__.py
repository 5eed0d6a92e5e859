"""Optional rankers on top of what the client reads: small, learnt from the stream, without a training job."""
