"""From the survey's public-use files to a model with its report; nothing here is imported when serving."""
