"""Client of the feedback classifier's HTTP service; see README.md."""

from feedback_client.client import AsyncFeedbackClient, FeedbackClient
from feedback_client.errors import ClientError, JobFailed, NotAllowed, OtherVersion, RequestRefused, Unavailable
from feedback_client.results import Answer, Failure, Job, Label, Language, Message, Prediction, Sentence

__all__ = [
    "Answer",
    "AsyncFeedbackClient",
    "ClientError",
    "Failure",
    "FeedbackClient",
    "Job",
    "JobFailed",
    "Label",
    "Language",
    "Message",
    "NotAllowed",
    "OtherVersion",
    "Prediction",
    "RequestRefused",
    "Sentence",
    "Unavailable",
]
__version__ = "1.1.0"
