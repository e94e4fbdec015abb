"""Fine-tuning a vision-language model into a grid localizer, and measuring any localizer on rows of JSON.

Nothing but the command line imports this room.
"""
