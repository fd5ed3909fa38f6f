"""Tensor-parallel ranks as real processes, to compare ways of hashing what every one of them needs.

Data flows one way, and nothing below calls back up:

    settings -> schedule -> run -> processes -> sender -> transport -> rank -> report -> summary
                                                                        -> text_timelines, figure

`run.measure(settings)` starts everything and returns a `summary.Comparison`. What an engine does is
copied in behaviour from SGLang 0.5.23: the tokenizer process copies features into shared memory and
sends a pickled request to rank 0, which broadcasts what it has received with gloo; every rank maps
the features and builds its multimodal inputs.

The clock is CLOCK_MONOTONIC throughout, which all processes of a machine share: a time taken by one
may be subtracted from a time taken by another.
"""
