"""Image to W+ code: generators, safe weight reading, encoder, losses, optimiser, reconstruction quality."""
