"""What is wrong with the survey's files."""

__all__ = ["SurveyError"]


class SurveyError(Exception):
    """The files are not what CDC publishes; the text says what is wrong."""
