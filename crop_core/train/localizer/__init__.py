"""Fine-tune a vision-language model into a grid localizer, and evaluate any localizer on rows of JSON.

Only the command line imports this room.
"""
