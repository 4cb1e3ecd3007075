"""The dock "Predict surfaces": a process that predicts, its progress, and its layers.

Here: choosing, starting and showing a prediction. Not here: predicting (``inference``).
"""
