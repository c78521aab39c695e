"""``lf predict``: new clips through the whole chain with trained models.

`chain` runs it. `choice` picks the model, `spaces` loads what makes its vectors, `footage` finds faces,
`scoring` and `flags` judge, `boxes`, `drawing` and `annotate` make the video, `page` and `timeline` the case report,
`result` declares the JSON, `store` puts everything in its place.
"""
