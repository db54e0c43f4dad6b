"""One run: from images to a result, resumable to the bit."""
