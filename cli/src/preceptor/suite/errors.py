"""What can keep the suite from running; the text of each is shown as it is."""

__all__ = ["AlreadyRunning", "PreflightFailed", "ProcessEnded", "StartTimedOut", "SuiteError"]


class SuiteError(Exception):
    """Base of what can go wrong.

    SuiteError
    ├── AlreadyRunning    another supervisor holds this folder
    ├── PreflightFailed   the machine lacks something; one sentence per thing, each saying what to do
    ├── ProcessEnded      a process ended by itself; says which, how, and where its log is
    └── StartTimedOut     something did not become ready in time
    """


class AlreadyRunning(SuiteError):
    """Another supervisor holds this folder."""


class PreflightFailed(SuiteError):
    """The machine lacks something; one sentence per thing, each saying what to do."""


class ProcessEnded(SuiteError):
    """A process ended by itself."""


class StartTimedOut(SuiteError):
    """Something did not become ready in time."""
