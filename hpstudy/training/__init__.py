"""One run: from images to a result, resumable to the bit.

`load_dataset` reads images, `Trainer` takes the steps of one network, and `RunTrainer` trains the
runs of a study one after another, from a checkpoint where there is one.
"""
